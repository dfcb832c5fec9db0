"""Types that Go gives names of their own, which schemas do not tell: errors of decoding name them."""

from __future__ import annotations

import functools

RESOURCE_LIST = "v1.ResourceList"

_FIELDS = {
    "types.UID": "ObjectMeta.uid OwnerReference.uid ObjectReference.uid Preconditions.uid",
    "v1.AddressType": "EndpointSlice.addressType",
    "v1.AppArmorProfileType": "AppArmorProfile.type",
    "v1.Capability": "Capabilities.add Capabilities.drop",
    "v1.CompletionMode": "JobSpec.completionMode",
    "v1.ConcurrencyPolicy": "CronJobSpec.concurrencyPolicy",
    "v1.ConditionStatus": (
        "Condition.status PodCondition.status NodeCondition.status DeploymentCondition.status JobCondition.status "
        "PodFailurePolicyOnPodConditionsPattern.status"
    ),
    "v1.ContainerRestartPolicy": "Container.restartPolicy EphemeralContainer.restartPolicy",
    "v1.ContainerRestartRuleAction": "ContainerRestartRule.action",
    "v1.ContainerRestartRuleOnExitCodesOperator": "ContainerRestartRuleOnExitCodes.operator",
    "v1.DNSPolicy": "PodSpec.dnsPolicy",
    "v1.DaemonSetUpdateStrategyType": "DaemonSetUpdateStrategy.type",
    "v1.DeletionPropagation": "DeleteOptions.propagationPolicy",
    "v1.DeploymentStrategyType": "DeploymentStrategy.type",
    "v1.FSGroupPolicy": "CSIDriverSpec.fsGroupPolicy",
    "v1.FailurePolicyType": (
        "ValidatingWebhook.failurePolicy MutatingWebhook.failurePolicy ValidatingAdmissionPolicySpec.failurePolicy "
        "MutatingAdmissionPolicySpec.failurePolicy"
    ),
    "v1.FinalizerName": "NamespaceSpec.finalizers",
    "v1.HostPathType": "HostPathVolumeSource.type",
    "v1.IPFamily": "ServiceSpec.ipFamilies",
    "v1.IPFamilyPolicy": "ServiceSpec.ipFamilyPolicy",
    "v1.KeyUsage": "CertificateSigningRequestSpec.usages",
    "v1.LabelSelectorOperator": "LabelSelectorRequirement.operator",
    "v1.LimitType": "LimitRangeItem.type",
    "v1.ManagedFieldsOperationType": "ManagedFieldsEntry.operation",
    "v1.MatchPolicyType": "ValidatingWebhook.matchPolicy MutatingWebhook.matchPolicy MatchResources.matchPolicy",
    "v1.MountPropagationMode": "VolumeMount.mountPropagation",
    "v1.NodeInclusionPolicy": "TopologySpreadConstraint.nodeAffinityPolicy TopologySpreadConstraint.nodeTaintsPolicy",
    "v1.NodeSelectorOperator": "NodeSelectorRequirement.operator",
    "v1.OSName": "PodOS.name",
    "v1.OperationType": "RuleWithOperations.operations NamedRuleWithOperations.operations",
    "v1.ParameterNotFoundActionType": "ParamRef.parameterNotFoundAction",
    "v1.PathType": "HTTPIngressPath.pathType",
    "v1.PersistentVolumeAccessMode": (
        "PersistentVolumeClaimSpec.accessModes PersistentVolumeClaimStatus.accessModes PersistentVolumeSpec.accessModes"
    ),
    "v1.PersistentVolumeClaimPhase": "PersistentVolumeClaimStatus.phase",
    "v1.PersistentVolumeClaimRetentionPolicyType": (
        "StatefulSetPersistentVolumeClaimRetentionPolicy.whenDeleted "
        "StatefulSetPersistentVolumeClaimRetentionPolicy.whenScaled"
    ),
    "v1.PersistentVolumeMode": "PersistentVolumeClaimSpec.volumeMode PersistentVolumeSpec.volumeMode",
    "v1.PersistentVolumeReclaimPolicy": "PersistentVolumeSpec.persistentVolumeReclaimPolicy StorageClass.reclaimPolicy",
    "v1.PodConditionType": (
        "PodReadinessGate.conditionType PodCondition.type PodFailurePolicyOnPodConditionsPattern.type"
    ),
    "v1.PodFSGroupChangePolicy": "PodSecurityContext.fsGroupChangePolicy",
    "v1.PodFailurePolicyAction": "PodFailurePolicyRule.action",
    "v1.PodFailurePolicyOnExitCodesOperator": "PodFailurePolicyOnExitCodesRequirement.operator",
    "v1.PodManagementPolicyType": "StatefulSetSpec.podManagementPolicy",
    "v1.PodPhase": "PodStatus.phase",
    "v1.PodReplacementPolicy": "JobSpec.podReplacementPolicy",
    "v1.PodSELinuxChangePolicy": "PodSecurityContext.seLinuxChangePolicy",
    "v1.PolicyType": "NetworkPolicySpec.policyTypes",
    "v1.PreemptionPolicy": "PodSpec.preemptionPolicy PriorityClass.preemptionPolicy",
    "v1.ProcMountType": "SecurityContext.procMount",
    "v1.Protocol": "ContainerPort.protocol ServicePort.protocol EndpointPort.protocol NetworkPolicyPort.protocol",
    "v1.PullPolicy": "Container.imagePullPolicy EphemeralContainer.imagePullPolicy ImageVolumeSource.pullPolicy",
    "v1.RecursiveReadOnlyMode": "VolumeMount.recursiveReadOnly",
    "v1.ReinvocationPolicyType": "MutatingWebhook.reinvocationPolicy MutatingAdmissionPolicySpec.reinvocationPolicy",
    "v1.ResourceName": (
        "ContainerResizePolicy.resourceName ResourceMetricSource.name ContainerResourceMetricSource.name"
    ),
    "v1.ResourceQuotaScope": "ResourceQuotaSpec.scopes ScopedResourceSelectorRequirement.scopeName",
    "v1.ResourceResizeRestartPolicy": "ContainerResizePolicy.restartPolicy",
    "v1.RestartPolicy": "PodSpec.restartPolicy",
    "v1.ScopeSelectorOperator": "ScopedResourceSelectorRequirement.operator",
    "v1.ScopeType": "RuleWithOperations.scope NamedRuleWithOperations.scope",
    "v1.SeccompProfileType": "SeccompProfile.type",
    "v1.SecretType": "Secret.type",
    "v1.ServiceAffinity": "ServiceSpec.sessionAffinity",
    "v1.ServiceExternalTrafficPolicy": "ServiceSpec.externalTrafficPolicy",
    "v1.ServiceInternalTrafficPolicy": "ServiceSpec.internalTrafficPolicy",
    "v1.ServiceType": "ServiceSpec.type",
    "v1.SideEffectClass": "ValidatingWebhook.sideEffects MutatingWebhook.sideEffects",
    "v1.StatefulSetUpdateStrategyType": "StatefulSetUpdateStrategy.type",
    "v1.StatusReason": "Validation.reason",
    "v1.StorageMedium": "EmptyDirVolumeSource.medium",
    "v1.SupplementalGroupsPolicy": "PodSecurityContext.supplementalGroupsPolicy",
    "v1.TaintEffect": "Taint.effect Toleration.effect",
    "v1.TerminationMessagePolicy": ("Container.terminationMessagePolicy EphemeralContainer.terminationMessagePolicy"),
    "v1.TolerationOperator": "Toleration.operator",
    "v1.URIScheme": "HTTPGetAction.scheme",
    "v1.UnhealthyPodEvictionPolicyType": "PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy",
    "v1.UnsatisfiableConstraintAction": "TopologySpreadConstraint.whenUnsatisfiable",
    "v1.ValidationAction": "ValidatingAdmissionPolicyBindingSpec.validationActions",
    "v1.VolumeBindingMode": "StorageClass.volumeBindingMode",
    "v1.VolumeLifecycleMode": "CSIDriverSpec.volumeLifecycleModes",
    "v2.HPAScalingPolicyType": "HPAScalingPolicy.type",
    "v2.MetricSourceType": "MetricSpec.type",
    "v2.MetricTargetType": "MetricTarget.type",
    "v2.ScalingPolicySelect": "HPAScalingRules.selectPolicy",
}
_OTHER_AMOUNTS = ("CapacityRequirements",)
"""Structs whose maps of quantities are no ResourceList."""


@functools.cache
def _names() -> dict[str, str]:
    return {field: name for name, fields in _FIELDS.items() for field in fields.split()}


def named(wanted: str, struct: str, field: str) -> str:
    """The type of a field, of its elements or values, by the name that Go has for it."""
    if wanted == "map[string]resource.Quantity" and struct not in _OTHER_AMOUNTS:
        return RESOURCE_LIST
    name = _names().get(f"{struct}.{field}")
    return wanted.removesuffix("string") + name if name and wanted.endswith("string") else wanted


def underlying(name: str) -> str:
    """What a named type is made of; other names as they are."""
    if name == RESOURCE_LIST:
        return "map[string]resource.Quantity"
    return "string" if name in _FIELDS else name
