/* device/vulkan/fn: the Vulkan entry points in use, loaded at run time.  The
 * lists name them without their "vk"; X is applied to each. */
#ifndef G4_DEVICE_VULKAN_FN_H
#define G4_DEVICE_VULKAN_FN_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#define G4_VK_FN_GLOBAL(X) X(CreateInstance) X(EnumerateInstanceVersion)

#define G4_VK_FN_INSTANCE(X) \
    X(DestroyInstance) X(EnumeratePhysicalDevices) X(GetPhysicalDeviceProperties2) X(GetPhysicalDeviceFeatures2) \
    X(GetPhysicalDeviceMemoryProperties2) X(GetPhysicalDeviceQueueFamilyProperties) \
    X(EnumerateDeviceExtensionProperties) X(CreateDevice) X(GetDeviceProcAddr)

#define G4_VK_FN_DEVICE(X) \
    X(DestroyDevice) X(GetDeviceQueue) X(DeviceWaitIdle) X(AllocateMemory) X(FreeMemory) X(MapMemory) \
    X(CreateBuffer) X(DestroyBuffer) X(GetBufferMemoryRequirements) X(BindBufferMemory) \
    X(CreateShaderModule) X(DestroyShaderModule) X(CreateComputePipelines) X(DestroyPipeline) \
    X(CreatePipelineCache) X(DestroyPipelineCache) X(GetPipelineCacheData) \
    X(CreateDescriptorSetLayout) X(DestroyDescriptorSetLayout) X(CreatePipelineLayout) X(DestroyPipelineLayout) \
    X(CreateDescriptorPool) X(DestroyDescriptorPool) X(AllocateDescriptorSets) X(UpdateDescriptorSets) \
    X(CreateCommandPool) X(DestroyCommandPool) X(AllocateCommandBuffers) X(FreeCommandBuffers) \
    X(BeginCommandBuffer) X(EndCommandBuffer) X(QueueSubmit) \
    X(CmdBindPipeline) X(CmdBindDescriptorSets) X(CmdPushConstants) X(CmdDispatch) X(CmdDispatchBase) \
    X(CmdPipelineBarrier) X(CmdCopyBuffer) X(CmdWriteTimestamp) \
    X(CreateSemaphore) X(DestroySemaphore) X(WaitSemaphores) X(GetSemaphoreCounterValue) \
    X(CreateQueryPool) X(DestroyQueryPool) X(ResetQueryPool) X(GetQueryPoolResults)

#define G4_VK_MEMBER(name) PFN_vk##name name;
struct g4_vk_fn {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
    uint32_t api;              /* version of the instance */
    G4_VK_FN_GLOBAL(G4_VK_MEMBER)
    G4_VK_FN_INSTANCE(G4_VK_MEMBER)
    G4_VK_FN_DEVICE(G4_VK_MEMBER)
    PFN_vkGetPhysicalDeviceFeatures GetPhysicalDeviceCooperativeMatrixProperties; /* cast at its use; NULL without */
};
#undef G4_VK_MEMBER

#endif
