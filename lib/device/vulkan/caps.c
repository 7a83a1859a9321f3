/* device/vulkan/caps: what a device can do, minus what G4_VK_DISABLE switches off,
 * and the line that --list-devices prints of it.  Nothing is taken from a name:
 * each feature is asked for. */
#include "device/vulkan/impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- switches -------------------------------------------------------------- */

/* True when the comma-separated list in a variable names `name` or "all". */
static bool listed(const char *variable, const char *name)
{
    const char *s = getenv(variable);
    const size_t n = strlen(name);
    while (s && *s) {
        const size_t len = strcspn(s, ",");
        if ((len == n && !strncmp(s, name, n)) || (len == 3 && !strncmp(s, "all", 3))) return true;
        s += len + (s[len] == ',');
    }
    return false;
}

bool g4_vk_switch(const char *name, bool stays)
{
    if (listed("G4_VK_DISABLE", name)) return false;
    return stays || listed("G4_VK_ENABLE", name);
}

/* ---- what newer headers declare ---------------------------------------------- */

enum {
    COOPMAT_FEATURES = 1000506000, /* VK_KHR_cooperative_matrix */
    COOPMAT_PROPERTIES = 1000506001,
    MAT_F16 = 0, MAT_F32 = 1, SCOPE_SUBGROUP = 3,
};
struct coopmat_features {
    uint32_t sType;
    void *pNext;
    VkBool32 cooperativeMatrix, robust;
};
struct coopmat_kind {
    uint32_t sType;
    void *pNext;
    uint32_t m, n, k, a, b, c, result;
    VkBool32 saturating;
    uint32_t scope;
};
typedef VkResult(VKAPI_PTR *coopmat_list_fn)(VkPhysicalDevice, uint32_t *, struct coopmat_kind *);

/* ---- reading ------------------------------------------------------------------ */

struct answers {               /* all that is asked, chained */
    VkPhysicalDeviceProperties2 props;
    VkPhysicalDeviceVulkan11Properties p11;
    VkPhysicalDeviceVulkan12Properties p12;
    VkPhysicalDeviceVulkan13Properties p13;
    VkPhysicalDeviceSubgroupSizeControlProperties sizes;
    VkPhysicalDeviceShaderIntegerDotProductProperties dots;
    VkPhysicalDeviceMaintenance4Properties m4;
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDeviceVulkan11Features f11;
    VkPhysicalDeviceVulkan12Features f12;
    VkPhysicalDeviceSubgroupSizeControlFeatures f_sizes;
    VkPhysicalDeviceShaderIntegerDotProductFeatures f_dots;
    struct coopmat_features f_mat;
    bool has_sizes, has_dots, has_m4, has_mat, has_budget, has_portability, v13;
};

static bool has_extension(const VkExtensionProperties *e, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(e[i].extensionName, name)) return true;
    return false;
}

static void find_extensions(const struct g4_vk_fn *fn, VkPhysicalDevice phys, struct answers *a)
{
    uint32_t n = 0;
    if (fn->EnumerateDeviceExtensionProperties(phys, NULL, &n, NULL) < 0 || !n) return;
    VkExtensionProperties *e = g4_alloc(n * sizeof *e);
    if (fn->EnumerateDeviceExtensionProperties(phys, NULL, &n, e) < 0) n = 0;
    a->has_sizes = a->v13 || has_extension(e, n, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    a->has_dots = a->v13 || has_extension(e, n, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    a->has_m4 = a->v13 || has_extension(e, n, VK_KHR_MAINTENANCE_4_EXTENSION_NAME);
    a->has_mat = has_extension(e, n, "VK_KHR_cooperative_matrix");
    a->has_budget = has_extension(e, n, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    a->has_portability = has_extension(e, n, "VK_KHR_portability_subset");
    free(e);
}

static void ask(const struct g4_vk_fn *fn, VkPhysicalDevice phys, struct answers *a)
{
    a->props.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    fn->GetPhysicalDeviceProperties2(phys, &a->props);
    a->v13 = a->props.properties.apiVersion >= VK_API_VERSION_1_3 && fn->api >= VK_API_VERSION_1_3;
    if (a->props.properties.apiVersion < VK_API_VERSION_1_2) return;
    find_extensions(fn, phys, a);
    a->p11 = (VkPhysicalDeviceVulkan11Properties){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = &a->p12 };
    a->p12 = (VkPhysicalDeviceVulkan12Properties){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES };
    a->sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
    a->dots.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES;
    a->m4.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES;
    void **tail = &a->p12.pNext;
    if (a->has_sizes) *tail = &a->sizes, tail = &a->sizes.pNext;
    if (a->has_dots) *tail = &a->dots, tail = &a->dots.pNext;
    if (a->has_m4) *tail = &a->m4, tail = &a->m4.pNext;
    a->props.pNext = &a->p11;
    fn->GetPhysicalDeviceProperties2(phys, &a->props);
    a->features = (VkPhysicalDeviceFeatures2){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &a->f11 };
    a->f11 = (VkPhysicalDeviceVulkan11Features){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &a->f12 };
    a->f12 = (VkPhysicalDeviceVulkan12Features){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES };
    a->f_sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    a->f_dots.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    a->f_mat.sType = COOPMAT_FEATURES;
    tail = &a->f12.pNext;
    if (a->has_sizes) *tail = &a->f_sizes, tail = &a->f_sizes.pNext;
    if (a->has_dots) *tail = &a->f_dots, tail = &a->f_dots.pNext;
    if (a->has_mat) *tail = &a->f_mat, tail = &a->f_mat.pNext;
    fn->GetPhysicalDeviceFeatures2(phys, &a->features);
}

/* The kinds of matrices at subgroup scope, and the one that is used: f16 in, f32 sums. */
static void read_matrices(const struct g4_vk_fn *fn, VkPhysicalDevice phys, struct g4_vk_caps *c)
{
    static const char *const names[] = { "f16", "f32", "f64", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64" };
    coopmat_list_fn list;
    uint32_t n = 0;
    memcpy(&list, &fn->GetPhysicalDeviceCooperativeMatrixProperties, sizeof list);
    if (!list || list(phys, &n, NULL) < 0 || !n) return;
    struct coopmat_kind *k = g4_alloc(n * sizeof *k);
    for (uint32_t i = 0; i < n; i++) k[i].sType = COOPMAT_PROPERTIES;
    if (list(phys, &n, k) < 0) n = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (k[i].scope != SCOPE_SUBGROUP) continue;
        const size_t at = strlen(c->mat);
        const char *in = k[i].a < 11 ? names[k[i].a] : "other", *out = k[i].result < 11 ? names[k[i].result] : "other";
        snprintf(c->mat + at, sizeof c->mat - at, "%s%s-%s %ux%ux%u", at ? ", " : "", in, out, k[i].m, k[i].n, k[i].k);
        const bool wanted = k[i].a == MAT_F16 && k[i].b == MAT_F16 && k[i].c == MAT_F32 && k[i].result == MAT_F32;
        if (!wanted || (c->mat_m == 16 && c->mat_n == 16)) continue;
        c->mat_m = k[i].m, c->mat_n = k[i].n, c->mat_k = k[i].k;
    }
    free(k);
}

static void read_limits(const struct answers *a, struct g4_vk_caps *c)
{
    const VkPhysicalDeviceProperties *p = &a->props.properties;
    const char *forced = getenv("G4_VK_RANGE");
    snprintf(c->name, sizeof c->name, "%s", p->deviceName);
    snprintf(c->driver, sizeof c->driver, "%s%s%s", a->p12.driverName, *a->p12.driverInfo ? " " : "", a->p12.driverInfo);
    c->type = p->deviceType;
    c->api = a->v13 ? VK_API_VERSION_1_3 : VK_API_VERSION_1_2;
    c->driver_id = a->p12.driverID;
    c->driver_version = p->driverVersion, c->vendor = p->vendorID, c->device = p->deviceID;
    memcpy(c->uuid, a->p11.deviceUUID, 16);
    memcpy(c->driver_uuid, a->p11.driverUUID, 16);
    memcpy(c->cache_uuid, p->pipelineCacheUUID, 16);
    c->range = p->limits.maxStorageBufferRange;
    if (forced && strtoull(forced, NULL, 0) >= 65536 && strtoull(forced, NULL, 0) < c->range) c->range = strtoull(forced, NULL, 0);
    c->alloc = a->p11.maxMemoryAllocationSize;
    if (a->has_m4 && a->m4.maxBufferSize < c->alloc) c->alloc = a->m4.maxBufferSize;
    c->shared = p->limits.maxComputeSharedMemorySize;
    c->invocations = p->limits.maxComputeWorkGroupInvocations;
    if (p->limits.maxComputeWorkGroupSize[0] < c->invocations) c->invocations = p->limits.maxComputeWorkGroupSize[0];
    c->tick_ns = p->limits.timestampComputeAndGraphics && a->f12.hostQueryReset ? p->limits.timestampPeriod : 0;
}

static void read_features(const struct answers *a, struct g4_vk_caps *c)
{
    const VkSubgroupFeatureFlags ops = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    c->subgroup = a->p11.subgroupSize;
    c->subgroup_min = a->has_sizes ? a->sizes.minSubgroupSize : c->subgroup;
    c->subgroup_max = a->has_sizes ? a->sizes.maxSubgroupSize : c->subgroup;
    c->subgroup_ops = (a->p11.subgroupSupportedOperations & ops) == ops &&
                      (a->p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) && g4_vk_switch("subgroup", false);
    c->subgroup_size = a->has_sizes && a->f_sizes.subgroupSizeControl && a->f_sizes.computeFullSubgroups &&
                       (a->sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) && g4_vk_switch("sgsize", true);
    c->f16 = a->f12.shaderFloat16 && g4_vk_switch("f16", true);
    c->int8 = a->f12.shaderInt8 && g4_vk_switch("int8", true);
    c->int16 = a->features.features.shaderInt16 && g4_vk_switch("int16", true);
    c->storage8 = a->f12.storageBuffer8BitAccess && g4_vk_switch("storage8", true);
    c->storage16 = a->f11.storageBuffer16BitAccess && g4_vk_switch("storage16", true);
    c->dot = a->has_dots && a->f_dots.shaderIntegerDotProduct && g4_vk_switch("int8dot", true);
    c->dot_accel = c->dot && a->dots.integerDotProduct4x8BitPackedSignedAccelerated;
    c->memory_model = a->f12.vulkanMemoryModel && a->f12.vulkanMemoryModelDeviceScope;
    c->budget = a->has_budget;
    c->portability = a->has_portability;
}

static bool find_queue(const struct g4_vk_fn *fn, VkPhysicalDevice phys, struct g4_vk_caps *c)
{
    VkQueueFamilyProperties q[16];
    uint32_t n = 16;
    int best = -1;
    fn->GetPhysicalDeviceQueueFamilyProperties(phys, &n, q);
    for (uint32_t i = 0; i < n; i++) {
        if (!(q[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || !q[i].queueCount) continue;
        if (best < 0 || (q[best].queueFlags & VK_QUEUE_GRAPHICS_BIT && !(q[i].queueFlags & VK_QUEUE_GRAPHICS_BIT))) best = (int)i;
    }
    if (best < 0) return false;
    c->queue = (uint32_t)best;
    if (!q[best].timestampValidBits) c->tick_ns = 0;
    return true;
}

static void read_heaps(const struct g4_vk_fn *fn, VkPhysicalDevice phys, struct g4_vk_caps *c)
{
    VkPhysicalDeviceMemoryProperties2 m = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2 };
    fn->GetPhysicalDeviceMemoryProperties2(phys, &m);
    const VkPhysicalDeviceMemoryProperties *p = &m.memoryProperties;
    for (uint32_t i = 0; i < p->memoryHeapCount; i++)
        if (p->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT && p->memoryHeaps[i].size > c->heap)
            c->heap = p->memoryHeaps[i].size, c->heap_index = i;
    const char *most = getenv("G4_VK_MEMORY");
    if (most && strtoull(most, NULL, 0) && strtoull(most, NULL, 0) < c->heap) c->heap = strtoull(most, NULL, 0);
}

bool g4_vk_caps_read(const struct g4_vk_fn *fn, VkPhysicalDevice phys, struct g4_vk_caps *out, const char **why)
{
    struct answers a = { 0 };
    memset(out, 0, sizeof *out);
    ask(fn, phys, &a);
    snprintf(out->name, sizeof out->name, "%s", a.props.properties.deviceName);
    *why = "it has no Vulkan 1.2";
    if (a.props.properties.apiVersion < VK_API_VERSION_1_2) return false;
    read_limits(&a, out);
    read_features(&a, out);
    read_heaps(fn, phys, out);
    *why = "it lacks timeline semaphores";
    if (!a.f12.timelineSemaphore) return false;
    *why = "it binds fewer than 13 storage buffers";
    if (a.props.properties.limits.maxPerStageDescriptorStorageBuffers < G4_VK_BINDS + 1) return false;
    *why = "its workgroups are smaller than 256";
    if (out->invocations < 256) return false;
    *why = "its workgroups share less than 32 KiB";
    if (out->shared < 32768) return false;
    *why = "it has no compute queue";
    if (!find_queue(fn, phys, out)) return false;
    if (a.has_mat && a.f_mat.cooperativeMatrix) read_matrices(fn, phys, out);
    /* Has not run on hardware yet: asked for by name until it has. */
    out->coopmat = out->mat_m && out->f16 && out->storage16 && out->memory_model && g4_vk_switch("coopmat", false);
    return true;
}

int g4_vk_rank(const struct g4_vk_caps *c)
{
    switch (c->type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return 2;
    default: return 3;
    }
}

void g4_vk_caps_text(const struct g4_vk_caps *c, g4_str *out)
{
    static const char *const kinds[] = { "discrete", "integrated", "virtual", "CPU, by name only" };
    g4_str_addf(out, "%s  %s; %s, %.1f GiB, ", c->name, c->driver, kinds[g4_vk_rank(c)], (double)c->heap / (1u << 30));
    if (c->subgroup_min == c->subgroup_max) g4_str_addf(out, "subgroup %u", c->subgroup);
    else g4_str_addf(out, "subgroup %u (%u to %u)", c->subgroup, c->subgroup_min, c->subgroup_max);
    g4_str_addf(out, "%s, int8 dot %s", c->f16 ? ", f16" : "", !c->dot ? "none" : c->dot_accel ? "accelerated" : "not accelerated");
    g4_str_addf(out, ", matrices %s; kernels: %s", c->mat_m ? c->mat : "none",
                c->coopmat ? "cooperative matrices for prompts" : c->mat_m ? "tiled (G4_VK_ENABLE=coopmat for matrices)" : "tiled");
}

VkDevice g4_vk_device_new(const struct g4_vk_fn *fn, VkPhysicalDevice phys, const struct g4_vk_caps *c, VkResult *res)
{
    const float priority = 1.0f;
    const char *ext[8];
    uint32_t n = 0;
    const bool v13 = c->api >= VK_API_VERSION_1_3;
    struct coopmat_features mat = { .sType = COOPMAT_FEATURES, .cooperativeMatrix = VK_TRUE };
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
                                                            .shaderIntegerDotProduct = VK_TRUE };
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
                                                          .subgroupSizeControl = VK_TRUE, .computeFullSubgroups = VK_TRUE };
    VkPhysicalDeviceVulkan12Features f12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .timelineSemaphore = VK_TRUE,
                                             .hostQueryReset = c->tick_ns > 0, .shaderFloat16 = c->f16, .shaderInt8 = c->int8,
                                             .storageBuffer8BitAccess = c->storage8, .vulkanMemoryModel = c->memory_model,
                                             .vulkanMemoryModelDeviceScope = c->memory_model };
    VkPhysicalDeviceVulkan11Features f11 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &f12,
                                             .storageBuffer16BitAccess = c->storage16 };
    const VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f11,
                                                 .features = { .shaderInt16 = c->int16 } };
    void **tail = &f12.pNext;
    if (c->dot) *tail = &dot, tail = &dot.pNext;
    if (c->dot && !v13) ext[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    if (c->subgroup_size) *tail = &sizes, tail = &sizes.pNext;
    if (c->subgroup_size && !v13) ext[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    if (c->coopmat) *tail = &mat, ext[n++] = "VK_KHR_cooperative_matrix";
    if (c->budget) ext[n++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    if (c->portability) ext[n++] = "VK_KHR_portability_subset";
    const VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueFamilyIndex = c->queue,
                                            .queueCount = 1, .pQueuePriorities = &priority };
    const VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &features, .queueCreateInfoCount = 1,
                                      .pQueueCreateInfos = &queue, .enabledExtensionCount = n, .ppEnabledExtensionNames = ext };
    VkDevice device = VK_NULL_HANDLE;
    *res = fn->CreateDevice(phys, &info, NULL, &device);
    return device;
}
