/* SPDX-License-Identifier: Apache-2.0 */
/* Every function that the NVML of drivers 450 to 595 exports on Linux, one X(name) each, in alphabetical order. A
 * name that a given driver lacks is one that it refuses to look up. */
/* clang-format off */
#pragma once

/* What the headers of 12.9 and 13.5 declare. */
#define FG_NVML_NAMES_PUBLIC(X) \
        X(nvmlClocksEventReasonAll) X(nvmlClocksEventReasonApplicationsClocksSetting) \
        X(nvmlClocksEventReasonDisplayClockSetting) X(nvmlClocksEventReasonGpuIdle) X(nvmlClocksEventReasonNone) \
        X(nvmlClocksEventReasonSwPowerCap) X(nvmlClocksEventReasonSwThermalSlowdown) \
        X(nvmlClocksEventReasonSyncBoost) X(nvmlClocksThrottleReasonAll) \
        X(nvmlClocksThrottleReasonApplicationsClocksSetting) X(nvmlClocksThrottleReasonDisplayClockSetting) \
        X(nvmlClocksThrottleReasonGpuIdle) X(nvmlClocksThrottleReasonNone) X(nvmlClocksThrottleReasonSwPowerCap) \
        X(nvmlClocksThrottleReasonSwThermalSlowdown) X(nvmlClocksThrottleReasonSyncBoost) \
        X(nvmlClocksThrottleReasonUserDefinedClocks) X(nvmlComputeInstanceDestroy) X(nvmlComputeInstanceGetInfo) \
        X(nvmlComputeInstanceGetInfo_v2) X(nvmlDeviceClearAccountingPids) X(nvmlDeviceClearCpuAffinity) \
        X(nvmlDeviceClearEccErrorCounts) X(nvmlDeviceClearFieldValues) X(nvmlDeviceCreateGpuInstance) \
        X(nvmlDeviceCreateGpuInstanceWithPlacement) X(nvmlDeviceDiscoverGpus) \
        X(nvmlDeviceFreezeNvLinkUtilizationCounter) X(nvmlDeviceGetAPIRestriction) \
        X(nvmlDeviceGetAccountingBufferSize) X(nvmlDeviceGetAccountingMode) X(nvmlDeviceGetAccountingPids) \
        X(nvmlDeviceGetAccountingStats) X(nvmlDeviceGetAccountingStats_v2) X(nvmlDeviceGetActiveVgpus) \
        X(nvmlDeviceGetAdaptiveClockInfoStatus) X(nvmlDeviceGetAdaptiveTgpModeInfo_v1) X(nvmlDeviceGetAddressingMode) \
        X(nvmlDeviceGetApplicationsClock) X(nvmlDeviceGetArchitecture) X(nvmlDeviceGetAttributes) \
        X(nvmlDeviceGetAttributes_v2) X(nvmlDeviceGetAutoBoostedClocksEnabled) X(nvmlDeviceGetBAR1MemoryInfo) \
        X(nvmlDeviceGetBBXTimeData_v1) X(nvmlDeviceGetBankRemapperStatus_v1) X(nvmlDeviceGetBoardId) \
        X(nvmlDeviceGetBoardPartNumber) X(nvmlDeviceGetBrand) X(nvmlDeviceGetBridgeChipInfo) X(nvmlDeviceGetBusType) \
        X(nvmlDeviceGetC2cModeInfoV) X(nvmlDeviceGetCapabilities) X(nvmlDeviceGetClkMonStatus) X(nvmlDeviceGetClock) \
        X(nvmlDeviceGetClockInfo) X(nvmlDeviceGetClockOffsets) X(nvmlDeviceGetComputeInstanceId) \
        X(nvmlDeviceGetComputeMode) X(nvmlDeviceGetComputeRunningProcesses) \
        X(nvmlDeviceGetComputeRunningProcesses_v2) X(nvmlDeviceGetComputeRunningProcesses_v3) \
        X(nvmlDeviceGetConfComputeGpuAttestationReport) X(nvmlDeviceGetConfComputeGpuCertificate) \
        X(nvmlDeviceGetConfComputeMemSizeInfo) X(nvmlDeviceGetConfComputeProtectedMemoryUsage) \
        X(nvmlDeviceGetCoolerInfo) X(nvmlDeviceGetCount) X(nvmlDeviceGetCount_v2) X(nvmlDeviceGetCpuAffinity) \
        X(nvmlDeviceGetCpuAffinityWithinScope) X(nvmlDeviceGetCreatableVgpus) X(nvmlDeviceGetCudaComputeCapability) \
        X(nvmlDeviceGetCurrPcieLinkGeneration) X(nvmlDeviceGetCurrPcieLinkWidth) X(nvmlDeviceGetCurrentClockFreqs) \
        X(nvmlDeviceGetCurrentClocksEventReasons) X(nvmlDeviceGetCurrentClocksThrottleReasons) \
        X(nvmlDeviceGetDecoderUtilization) X(nvmlDeviceGetDefaultApplicationsClock) X(nvmlDeviceGetDefaultEccMode) \
        X(nvmlDeviceGetDetailedEccErrors) X(nvmlDeviceGetDeviceHandleFromMigDeviceHandle) \
        X(nvmlDeviceGetDisplayActive) X(nvmlDeviceGetDisplayMode) X(nvmlDeviceGetDramEncryptionMode) \
        X(nvmlDeviceGetDriverModel) X(nvmlDeviceGetDriverModel_v2) X(nvmlDeviceGetDynamicPstatesInfo) \
        X(nvmlDeviceGetEccMode) X(nvmlDeviceGetEncoderCapacity) X(nvmlDeviceGetEncoderSessions) \
        X(nvmlDeviceGetEncoderStats) X(nvmlDeviceGetEncoderUtilization) X(nvmlDeviceGetEnforcedPowerLimit) \
        X(nvmlDeviceGetFBCSessions) X(nvmlDeviceGetFBCStats) X(nvmlDeviceGetFanControlPolicy_v2) \
        X(nvmlDeviceGetFanSpeed) X(nvmlDeviceGetFanSpeedRPM) X(nvmlDeviceGetFanSpeed_v2) X(nvmlDeviceGetFieldValues) \
        X(nvmlDeviceGetGpcClkMinMaxVfOffset) X(nvmlDeviceGetGpcClkVfOffset) X(nvmlDeviceGetGpuFabricInfo) \
        X(nvmlDeviceGetGpuFabricInfoV) X(nvmlDeviceGetGpuFabricInfo_v4) X(nvmlDeviceGetGpuInstanceById) \
        X(nvmlDeviceGetGpuInstanceId) X(nvmlDeviceGetGpuInstancePossiblePlacements) \
        X(nvmlDeviceGetGpuInstancePossiblePlacements_v2) X(nvmlDeviceGetGpuInstanceProfileInfo) \
        X(nvmlDeviceGetGpuInstanceProfileInfoByIdV) X(nvmlDeviceGetGpuInstanceProfileInfoV) \
        X(nvmlDeviceGetGpuInstanceRemainingCapacity) X(nvmlDeviceGetGpuInstances) \
        X(nvmlDeviceGetGpuMaxPcieLinkGeneration) X(nvmlDeviceGetGpuOperationMode) X(nvmlDeviceGetGpuUptime_v1) \
        X(nvmlDeviceGetGraphicsRunningProcesses) X(nvmlDeviceGetGraphicsRunningProcesses_v2) \
        X(nvmlDeviceGetGraphicsRunningProcesses_v3) X(nvmlDeviceGetGridLicensableFeatures) \
        X(nvmlDeviceGetGridLicensableFeatures_v2) X(nvmlDeviceGetGridLicensableFeatures_v3) \
        X(nvmlDeviceGetGridLicensableFeatures_v4) X(nvmlDeviceGetGspFirmwareMode) X(nvmlDeviceGetGspFirmwareVersion) \
        X(nvmlDeviceGetHandleByIndex) X(nvmlDeviceGetHandleByIndex_v2) X(nvmlDeviceGetHandleByPciBusId) \
        X(nvmlDeviceGetHandleByPciBusId_v2) X(nvmlDeviceGetHandleBySerial) X(nvmlDeviceGetHandleByUUID) \
        X(nvmlDeviceGetHandleByUUIDV) X(nvmlDeviceGetHostVgpuMode) X(nvmlDeviceGetHostname_v1) X(nvmlDeviceGetIndex) \
        X(nvmlDeviceGetInforomConfigurationChecksum) X(nvmlDeviceGetInforomImageVersion) \
        X(nvmlDeviceGetInforomVersion) X(nvmlDeviceGetIrqNum) X(nvmlDeviceGetJpgUtilization) \
        X(nvmlDeviceGetLastBBXFlushTime) X(nvmlDeviceGetMPSComputeRunningProcesses) \
        X(nvmlDeviceGetMPSComputeRunningProcesses_v2) X(nvmlDeviceGetMPSComputeRunningProcesses_v3) \
        X(nvmlDeviceGetMarginTemperature) X(nvmlDeviceGetMaxClockInfo) X(nvmlDeviceGetMaxCustomerBoostClock) \
        X(nvmlDeviceGetMaxMigDeviceCount) X(nvmlDeviceGetMaxPcieLinkGeneration) X(nvmlDeviceGetMaxPcieLinkWidth) \
        X(nvmlDeviceGetMemClkMinMaxVfOffset) X(nvmlDeviceGetMemClkVfOffset) X(nvmlDeviceGetMemoryAffinity) \
        X(nvmlDeviceGetMemoryBusWidth) X(nvmlDeviceGetMemoryErrorCounter) X(nvmlDeviceGetMemoryInfo) \
        X(nvmlDeviceGetMemoryInfo_v2) X(nvmlDeviceGetMemoryLimits_v1) X(nvmlDeviceGetMigDeviceHandleByIndex) \
        X(nvmlDeviceGetMigMode) X(nvmlDeviceGetMinMaxClockOfPState) X(nvmlDeviceGetMinMaxFanSpeed) \
        X(nvmlDeviceGetMinorNumber) X(nvmlDeviceGetModuleId) X(nvmlDeviceGetMultiGpuBoard) X(nvmlDeviceGetName) \
        X(nvmlDeviceGetNumFans) X(nvmlDeviceGetNumGpuCores) X(nvmlDeviceGetNumaNodeId) \
        X(nvmlDeviceGetNvLinkCapability) X(nvmlDeviceGetNvLinkErrorCounter) X(nvmlDeviceGetNvLinkInfo) \
        X(nvmlDeviceGetNvLinkInfo_v3) X(nvmlDeviceGetNvLinkRemoteDeviceType) X(nvmlDeviceGetNvLinkRemotePciInfo) \
        X(nvmlDeviceGetNvLinkRemotePciInfo_v2) X(nvmlDeviceGetNvLinkState) X(nvmlDeviceGetNvLinkTelemetrySamples_v1) \
        X(nvmlDeviceGetNvLinkUtilizationControl) X(nvmlDeviceGetNvLinkUtilizationCounter) \
        X(nvmlDeviceGetNvLinkVersion) X(nvmlDeviceGetNvlinkBwMode) X(nvmlDeviceGetNvlinkNvlePrivateInfo_v1) \
        X(nvmlDeviceGetNvlinkRemapTableInfo_v1) X(nvmlDeviceGetNvlinkSupportedBwModes) X(nvmlDeviceGetOfaUtilization) \
        X(nvmlDeviceGetP2PStatus) X(nvmlDeviceGetPciInfo) X(nvmlDeviceGetPciInfoExt) X(nvmlDeviceGetPciInfo_v2) \
        X(nvmlDeviceGetPciInfo_v3) X(nvmlDeviceGetPcieLinkMaxSpeed) X(nvmlDeviceGetPcieReplayCounter) \
        X(nvmlDeviceGetPcieSpeed) X(nvmlDeviceGetPcieThroughput) X(nvmlDeviceGetPdi) X(nvmlDeviceGetPerformanceModes) \
        X(nvmlDeviceGetPerformanceState) X(nvmlDeviceGetPersistenceMode) X(nvmlDeviceGetPgpuMetadataString) \
        X(nvmlDeviceGetPlatformInfo) X(nvmlDeviceGetPowerManagementDefaultLimit) X(nvmlDeviceGetPowerManagementLimit) \
        X(nvmlDeviceGetPowerManagementLimitConstraints) X(nvmlDeviceGetPowerManagementMode) \
        X(nvmlDeviceGetPowerMizerMode_v1) X(nvmlDeviceGetPowerSource) X(nvmlDeviceGetPowerState) \
        X(nvmlDeviceGetPowerUsage) X(nvmlDeviceGetProcessUtilization) X(nvmlDeviceGetProcessesUtilizationInfo) \
        X(nvmlDeviceGetRemappedRows) X(nvmlDeviceGetRemappedRows_v2) X(nvmlDeviceGetRepairStatus) \
        X(nvmlDeviceGetRetiredPages) X(nvmlDeviceGetRetiredPagesPendingStatus) X(nvmlDeviceGetRetiredPages_v2) \
        X(nvmlDeviceGetRowRemapperHistogram) X(nvmlDeviceGetRunningProcessDetailList) X(nvmlDeviceGetSamples) \
        X(nvmlDeviceGetSerial) X(nvmlDeviceGetSramEccErrorStatus) X(nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts) \
        X(nvmlDeviceGetSupportedClocksEventReasons) X(nvmlDeviceGetSupportedClocksThrottleReasons) \
        X(nvmlDeviceGetSupportedEventTypes) X(nvmlDeviceGetSupportedGraphicsClocks) \
        X(nvmlDeviceGetSupportedMemoryClocks) X(nvmlDeviceGetSupportedPerformanceStates) \
        X(nvmlDeviceGetSupportedVgpus) X(nvmlDeviceGetTargetFanSpeed) X(nvmlDeviceGetTemperature) \
        X(nvmlDeviceGetTemperatureThreshold) X(nvmlDeviceGetTemperatureV) X(nvmlDeviceGetThermalSettings) \
        X(nvmlDeviceGetTopologyCommonAncestor) X(nvmlDeviceGetTopologyNearestGpus) X(nvmlDeviceGetTotalEccErrors) \
        X(nvmlDeviceGetTotalEnergyConsumption) X(nvmlDeviceGetUUID) X(nvmlDeviceGetUnrepairableMemoryFlag_v1) \
        X(nvmlDeviceGetUtilizationRates) X(nvmlDeviceGetVbiosVersion) X(nvmlDeviceGetVgpuCapabilities) \
        X(nvmlDeviceGetVgpuHeterogeneousMode) X(nvmlDeviceGetVgpuInstancesUtilizationInfo) \
        X(nvmlDeviceGetVgpuMetadata) X(nvmlDeviceGetVgpuProcessUtilization) \
        X(nvmlDeviceGetVgpuProcessesUtilizationInfo) X(nvmlDeviceGetVgpuSchedulerCapabilities) \
        X(nvmlDeviceGetVgpuSchedulerLog) X(nvmlDeviceGetVgpuSchedulerLog_v2) X(nvmlDeviceGetVgpuSchedulerState) \
        X(nvmlDeviceGetVgpuSchedulerState_v2) X(nvmlDeviceGetVgpuTypeCreatablePlacements) \
        X(nvmlDeviceGetVgpuTypeSupportedPlacements) X(nvmlDeviceGetVgpuUtilization) X(nvmlDeviceGetViolationStatus) \
        X(nvmlDeviceGetVirtualizationMode) X(nvmlDeviceIsMigDeviceHandle) X(nvmlDeviceLockNvlinkRemapTable_v1) \
        X(nvmlDeviceModifyDrainState) X(nvmlDeviceOnSameBoard) X(nvmlDevicePerfMetricsGetSamples_v1) \
        X(nvmlDevicePowerSmoothingActivatePresetProfile) X(nvmlDevicePowerSmoothingSetState) \
        X(nvmlDevicePowerSmoothingUpdatePresetProfileParam) X(nvmlDeviceQueryDrainState) \
        X(nvmlDeviceReadPRMCounters_v1) X(nvmlDeviceReadWritePRM_v1) X(nvmlDeviceRegisterEvents) \
        X(nvmlDeviceRemoveGpu) X(nvmlDeviceRemoveGpu_v2) X(nvmlDeviceResetApplicationsClocks) \
        X(nvmlDeviceResetGpuLockedClocks) X(nvmlDeviceResetMemoryLockedClocks) X(nvmlDeviceResetNvLinkErrorCounters) \
        X(nvmlDeviceResetNvLinkUtilizationCounter) X(nvmlDeviceSetAPIRestriction) X(nvmlDeviceSetAccountingMode) \
        X(nvmlDeviceSetAdaptiveTgpMode_v1) X(nvmlDeviceSetApplicationsClocks) \
        X(nvmlDeviceSetAutoBoostedClocksEnabled) X(nvmlDeviceSetClockOffsets) X(nvmlDeviceSetComputeMode) \
        X(nvmlDeviceSetConfComputeUnprotectedMemSize) X(nvmlDeviceSetCpuAffinity) \
        X(nvmlDeviceSetDefaultAutoBoostedClocksEnabled) X(nvmlDeviceSetDefaultFanSpeed_v2) \
        X(nvmlDeviceSetDramEncryptionMode) X(nvmlDeviceSetDriverModel) X(nvmlDeviceSetEccMode) \
        X(nvmlDeviceSetFanControlPolicy) X(nvmlDeviceSetFanSpeed_v2) X(nvmlDeviceSetGpcClkVfOffset) \
        X(nvmlDeviceSetGpuLockedClocks) X(nvmlDeviceSetGpuOperationMode) X(nvmlDeviceSetHostname_v1) \
        X(nvmlDeviceSetMemClkVfOffset) X(nvmlDeviceSetMemoryLimits_v1) X(nvmlDeviceSetMemoryLockedClocks) \
        X(nvmlDeviceSetMigMode) X(nvmlDeviceSetNvLinkDeviceLowPowerThreshold) \
        X(nvmlDeviceSetNvLinkUtilizationControl) X(nvmlDeviceSetNvlinkBwMode) X(nvmlDeviceSetNvlinkBwModeAsync_v1) \
        X(nvmlDeviceSetNvlinkNvleReady_v1) X(nvmlDeviceSetPersistenceMode) X(nvmlDeviceSetPowerManagementLimit) \
        X(nvmlDeviceSetPowerManagementLimit_v2) X(nvmlDeviceSetPowerMizerMode_v1) X(nvmlDeviceSetRusdSettings_v1) \
        X(nvmlDeviceSetTemperatureThreshold) X(nvmlDeviceSetVgpuCapabilities) X(nvmlDeviceSetVgpuHeterogeneousMode) \
        X(nvmlDeviceSetVgpuSchedulerState) X(nvmlDeviceSetVgpuSchedulerState_v2) X(nvmlDeviceSetVirtualizationMode) \
        X(nvmlDeviceSetupNvlinkNvleEncryptionKey_v1) X(nvmlDeviceValidateInforom) X(nvmlDeviceVgpuForceGspUnload) \
        X(nvmlDeviceWorkloadPowerProfileClearRequestedProfiles) X(nvmlDeviceWorkloadPowerProfileGetCurrentProfiles) \
        X(nvmlDeviceWorkloadPowerProfileGetProfilesInfo) X(nvmlDeviceWorkloadPowerProfileSetRequestedProfiles) \
        X(nvmlDeviceWorkloadPowerProfileUpdateProfiles_v1) X(nvmlErrorString) X(nvmlEventSetCreate) \
        X(nvmlEventSetFree) X(nvmlEventSetGetContextCount_v1) X(nvmlEventSetGetContextData_v1) \
        X(nvmlEventSetGetContextInfo_v1) X(nvmlEventSetGetGpuOperationalEventContextLegacyXid_v1) \
        X(nvmlEventSetRegisterGpuOperationalEvents_v1) X(nvmlEventSetWait) X(nvmlEventSetWait_v2) \
        X(nvmlEventSetWait_v3) X(nvmlGetExcludedDeviceCount) X(nvmlGetExcludedDeviceInfoByIndex) \
        X(nvmlGetVgpuCompatibility) X(nvmlGetVgpuDriverCapabilities) X(nvmlGetVgpuVersion) X(nvmlGpmMetricsGet) \
        X(nvmlGpmMigSampleGet) X(nvmlGpmQueryDeviceSupport) X(nvmlGpmQueryIfStreamingEnabled) X(nvmlGpmSampleAlloc) \
        X(nvmlGpmSampleFree) X(nvmlGpmSampleGet) X(nvmlGpmSetStreamingEnabled) \
        X(nvmlGpuInstanceCreateComputeInstance) X(nvmlGpuInstanceCreateComputeInstanceWithPlacement) \
        X(nvmlGpuInstanceDestroy) X(nvmlGpuInstanceGetActiveVgpus) X(nvmlGpuInstanceGetComputeInstanceById) \
        X(nvmlGpuInstanceGetComputeInstancePossiblePlacements) X(nvmlGpuInstanceGetComputeInstanceProfileInfo) \
        X(nvmlGpuInstanceGetComputeInstanceProfileInfoV) X(nvmlGpuInstanceGetComputeInstanceRemainingCapacity) \
        X(nvmlGpuInstanceGetComputeInstances) X(nvmlGpuInstanceGetCreatableVgpus) X(nvmlGpuInstanceGetInfo) \
        X(nvmlGpuInstanceGetVgpuHeterogeneousMode) X(nvmlGpuInstanceGetVgpuSchedulerLog) \
        X(nvmlGpuInstanceGetVgpuSchedulerLog_v2) X(nvmlGpuInstanceGetVgpuSchedulerState) \
        X(nvmlGpuInstanceGetVgpuSchedulerState_v2) X(nvmlGpuInstanceGetVgpuTypeCreatablePlacements) \
        X(nvmlGpuInstanceSetVgpuHeterogeneousMode) X(nvmlGpuInstanceSetVgpuSchedulerState) \
        X(nvmlGpuInstanceSetVgpuSchedulerState_v2) X(nvmlInit) X(nvmlInitWithFlags) X(nvmlInit_v2) \
        X(nvmlSetVgpuVersion) X(nvmlShutdown) X(nvmlSystemEventSetCreate) X(nvmlSystemEventSetFree) \
        X(nvmlSystemEventSetWait) X(nvmlSystemGetCPER_v1) X(nvmlSystemGetConfComputeCapabilities) \
        X(nvmlSystemGetConfComputeGpusReadyState) X(nvmlSystemGetConfComputeKeyRotationThresholdInfo) \
        X(nvmlSystemGetConfComputeSettings) X(nvmlSystemGetConfComputeSettings_v2) X(nvmlSystemGetConfComputeState) \
        X(nvmlSystemGetCudaDriverVersion) X(nvmlSystemGetCudaDriverVersion_v2) X(nvmlSystemGetDriverBranch) \
        X(nvmlSystemGetDriverVersion) X(nvmlSystemGetHicVersion) X(nvmlSystemGetNVMLVersion) \
        X(nvmlSystemGetNvlinkBwMode) X(nvmlSystemGetProcessName) X(nvmlSystemGetTopologyGpuSet) \
        X(nvmlSystemRegisterEvents) X(nvmlSystemSetConfComputeGpusReadyState) \
        X(nvmlSystemSetConfComputeKeyRotationThresholdInfo) X(nvmlSystemSetNvlinkBwMode) X(nvmlUnitGetCount) \
        X(nvmlUnitGetDevices) X(nvmlUnitGetFanSpeedInfo) X(nvmlUnitGetHandleByIndex) X(nvmlUnitGetLedState) \
        X(nvmlUnitGetPsuInfo) X(nvmlUnitGetTemperature) X(nvmlUnitGetUnitInfo) X(nvmlUnitSetLedState) \
        X(nvmlVgpuInstanceClearAccountingPids) X(nvmlVgpuInstanceGetAccountingMode) \
        X(nvmlVgpuInstanceGetAccountingPids) X(nvmlVgpuInstanceGetAccountingStats) X(nvmlVgpuInstanceGetEccMode) \
        X(nvmlVgpuInstanceGetEncoderCapacity) X(nvmlVgpuInstanceGetEncoderSessions) \
        X(nvmlVgpuInstanceGetEncoderStats) X(nvmlVgpuInstanceGetFBCSessions) X(nvmlVgpuInstanceGetFBCStats) \
        X(nvmlVgpuInstanceGetFbUsage) X(nvmlVgpuInstanceGetFrameRateLimit) X(nvmlVgpuInstanceGetGpuInstanceId) \
        X(nvmlVgpuInstanceGetGpuPciId) X(nvmlVgpuInstanceGetLicenseInfo) X(nvmlVgpuInstanceGetLicenseInfo_v2) \
        X(nvmlVgpuInstanceGetLicenseStatus) X(nvmlVgpuInstanceGetMdevUUID) X(nvmlVgpuInstanceGetMetadata) \
        X(nvmlVgpuInstanceGetPlacementId) X(nvmlVgpuInstanceGetRuntimeStateSize) X(nvmlVgpuInstanceGetType) \
        X(nvmlVgpuInstanceGetUUID) X(nvmlVgpuInstanceGetVmDriverVersion) X(nvmlVgpuInstanceGetVmID) \
        X(nvmlVgpuInstanceSetEncoderCapacity) X(nvmlVgpuTypeGetBAR1Info) X(nvmlVgpuTypeGetCapabilities) \
        X(nvmlVgpuTypeGetClass) X(nvmlVgpuTypeGetDeviceID) X(nvmlVgpuTypeGetFbReservation) \
        X(nvmlVgpuTypeGetFrameRateLimit) X(nvmlVgpuTypeGetFramebufferSize) X(nvmlVgpuTypeGetGpuInstanceProfileId) \
        X(nvmlVgpuTypeGetGspHeapSize) X(nvmlVgpuTypeGetLicense) X(nvmlVgpuTypeGetMaxInstances) \
        X(nvmlVgpuTypeGetMaxInstancesPerGpuInstance) X(nvmlVgpuTypeGetMaxInstancesPerVm) X(nvmlVgpuTypeGetName) \
        X(nvmlVgpuTypeGetNumDisplayHeads) X(nvmlVgpuTypeGetResolution)

/* Earlier names, and the table that nvidia-smi asks for. */
#define FG_NVML_NAMES_HIDDEN(X) \
        X(nvmlGetBlacklistDeviceCount) X(nvmlGetBlacklistDeviceInfoByIndex) X(nvmlInternalGetExportTable)

#define FG_NVML_NAMES(X) FG_NVML_NAMES_PUBLIC(X) FG_NVML_NAMES_HIDDEN(X)
