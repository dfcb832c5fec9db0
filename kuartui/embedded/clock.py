"""Time for the whole cluster, injected everywhere.

Everything in `kuartui.embedded` that reads the time or waits takes a `Clock`. `RealClock` plays in real time.
`FastClock` is a discrete-event clock for proofs and tests: its time stands still until someone calls `advance`,
which runs each timer that falls due, in order, and lets the cluster settle between two timers. A CrashLoopBackOff
of five minutes so takes milliseconds, and the order of events does not depend on the speed of the machine.
`HeadStartClock` begins in the past as a fast clock, so that what is set up there has happened "a minute ago" at once,
and is a real one from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol

CAUGHT_UP = 0.02  # seconds between a clock and the present that count as none
PATIENCE = 500  # callbacks that run before the event loop looks at sockets again


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What components may ask of time."""

    @property
    def stepped(self) -> bool:
        """Whether time stands still until somebody advances it."""
        ...

    def now(self) -> datetime:
        """The wall clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer: ...

    def afterwards(self, callback: Callable[[], None]) -> None:
        """Call it once what happens at this moment has happened, so that one look will do for all of it."""
        ...

    def timeout(self, seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        """Raise TimeoutError in the body once `seconds` have passed on this clock."""
        ...

    def busy(self) -> contextlib.AbstractContextManager[None]:
        """Say that work goes on outside of the event loop (a thread, a shell), so fast time must not pass meanwhile."""
        ...


class RealClock:
    """The machine's own time."""

    stepped = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)

    def afterwards(self, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)

    def timeout(self, seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        return _Timeout(self, seconds)

    def busy(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class _FastTimer:
    __slots__ = ("callback", "cancelled", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def fire(self) -> None:
        if not self.cancelled:
            self.callback()


class FastClock:
    """Time that passes only inside `advance`, as fast as the cluster can follow."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime.now(UTC).replace(microsecond=0)
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, _FastTimer]] = []
        self._order = itertools.count()
        self._busy = 0
        self._held: list[_Advance] = []  # who goes on once nothing is busy
        self._afterwards: deque[Callable[[], None]] = deque()
        self._moment: _Advance | None = None  # runs those where nobody has time pass
        self.runs: _Advance | None = None  # what has everything run right now

    @property
    def stepped(self) -> bool:
        return True

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_later(seconds, wake)
        try:
            await done
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        due = self._elapsed
        if seconds > 0:
            # Later than now, even if it is less than floating point can add: else whoever waits for what is left of a
            # span finds, again and again, that nothing has passed of it.
            due = max(due + seconds, math.nextafter(due, math.inf))
        timer = _FastTimer(due, callback)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    def afterwards(self, callback: Callable[[], None]) -> None:
        self._afterwards.append(callback)
        self.catch_up()

    def catch_up(self) -> None:
        """See to it that somebody runs what is to come afterwards."""
        if self._afterwards and self.runs is None and (self._moment is None or self._moment.over):
            self._moment = _Advance(self, None)
            self._moment.resume()

    def timeout(self, seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        return _Timeout(self, seconds)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                held, self._held = self._held, []
                for advance in held:
                    advance.resume()

    async def settle(self) -> None:
        """Wait until nothing in this process can go on without time passing."""
        await _Advance(self, None).done()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: run what falls due, in order, settling before and after each timer."""
        target = self._elapsed + seconds
        await _Advance(self, target).done()
        self._elapsed = max(self._elapsed, target)

    def hold(self, advance: _Advance) -> bool:
        """Whether something is busy; then `advance` is resumed once nothing is."""
        if self._busy:
            self._held.append(advance)
        return self._busy > 0

    def fire_next(self, target: float | None) -> bool:
        """Run what comes next: a timer that falls due at this moment, else what was to come after it, else let time pass
        to the next timer that falls due by `target`. False if there is nothing. Without a target, no timer is run."""
        while target is not None and self._timers:
            due, _, timer = self._timers[0]
            if due > target or (due > self._elapsed and self._afterwards):
                break
            heapq.heappop(self._timers)
            if not timer.cancelled:
                self._elapsed = max(self._elapsed, due)
                timer.callback()
                return True
        if self._afterwards:
            asyncio.get_running_loop().call_soon(self._afterwards.popleft())
            return True
        return False


class _Advance:
    """Has everything run that can, and timers up to `target` (None: none) whenever nothing else is left to run.

    It is no task but a callback of the event loop that runs the loop's other callbacks itself. A task that gave way to
    them and looked again would cost a turn of the loop, with a system call, for every step of any work: most of what
    time costs on a cluster where little happens.
    """

    def __init__(self, clock: FastClock, target: float | None) -> None:
        self._clock, self._target = clock, target
        self._loop = asyncio.get_running_loop()
        # The ready queue is private to asyncio's own loops, but it is the only exact answer to "is anything
        # left to run?"; counting at every place that schedules work would be a far larger promise.
        self._ready: deque[asyncio.Handle] = self._loop._ready  # type: ignore[attr-defined]
        self._end: asyncio.Future[None] = self._loop.create_future()

    async def done(self) -> None:
        """Do it."""
        self.resume()
        await self._end

    @property
    def over(self) -> bool:
        """Whether all of that has run, or nobody waits for it any longer."""
        return self._end.done()

    def resume(self) -> None:
        """Go on in a moment, unless nobody waits for it any longer."""
        if not self.over:
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        promised = len(self._ready)  # so many callbacks the loop has counted already, and takes whatever happens
        self._clock.runs, outer = self, self._clock.runs
        self._work()
        self._clock.runs = outer
        if self.over:
            self._clock.catch_up()
        if promised > len(self._ready):
            spent = asyncio.Handle(_nothing, (), self._loop)
            spent.cancel()  # the loop skips what was cancelled
            self._ready.extend([spent] * (promised - len(self._ready)))

    def _work(self) -> None:
        for _ in range(PATIENCE):
            if self.over:
                return
            if self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            elif self._clock.hold(self):
                return
            elif not self._clock.fire_next(self._target):
                self._end.set_result(None)
                return
        self.resume()


def _nothing() -> None:
    pass


class HeadStartClock(FastClock):
    """Starts `head` seconds ago on fast time, never gets ahead of real time, and becomes real in `release`."""

    def __init__(self, head: float) -> None:
        super().__init__(datetime.now(UTC) - timedelta(seconds=head))
        self._head = head
        self._began = time.monotonic()
        self._real = False

    @property
    def stepped(self) -> bool:
        return not self._real

    def _present(self) -> float:
        """What `monotonic` gives when this clock has caught up with real time."""
        return time.monotonic() - self._began + self._head

    def monotonic(self) -> float:
        return self._present() if self._real else super().monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        if self._real:
            return asyncio.get_running_loop().call_later(seconds, callback)
        return super().call_later(seconds, callback)

    def afterwards(self, callback: Callable[[], None]) -> None:
        if self._real:
            asyncio.get_running_loop().call_soon(callback)
        else:
            super().afterwards(callback)

    async def sleep(self, seconds: float) -> None:
        if self._real:
            await asyncio.sleep(seconds)
        else:
            await super().sleep(seconds)

    async def advance(self, seconds: float) -> None:
        """As on a fast clock up to the present; what is still in the future has to be waited for."""
        ahead = self._elapsed + seconds - self._present()
        if ahead > 0:
            await asyncio.sleep(ahead)
        if not self._real:
            await super().advance(seconds)

    async def release(self) -> None:
        """Catch up with the present and be a real clock from now on."""
        while not self._real:
            behind = self._present() - self._elapsed
            if behind > CAUGHT_UP:
                await self.advance(behind)
                continue
            self._real = True
            for _, _, timer in sorted(self._timers, key=lambda item: item[:2]):
                if not timer.cancelled:
                    asyncio.get_running_loop().call_later(max(0.0, timer.due - self._present()), timer.fire)
            self._timers.clear()


class _Timeout:
    """Like `asyncio.timeout`, on a clock of ours."""

    __slots__ = ("_clock", "_scope", "_seconds", "_timer")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    async def __aenter__(self) -> None:
        self._scope = asyncio.timeout(None)
        await self._scope.__aenter__()
        self._timer = self._clock.call_later(self._seconds, self._over)

    def _over(self) -> None:
        self._scope.reschedule(0)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(kind, error, trace)
