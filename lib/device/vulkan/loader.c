/* device/vulkan/loader: the Vulkan loader by dlopen, so that a machine without
 * one still runs everything else, and the one instance of the process, which stays
 * to its end: opening it anew loads every driver anew. */
#include "device/vulkan/impl.h"

#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct g4_vk_instance the;
static void *library;
static bool is_open;

/* Entry points go by name into the table: `object` NULL asks for global ones. */
#define GLOBAL(name) fn->name = (PFN_vk##name)fn->GetInstanceProcAddr(NULL, "vk" #name); missing = missing || !fn->name;
#define INSTANCE(name) fn->name = (PFN_vk##name)fn->GetInstanceProcAddr(the.instance, "vk" #name); missing = missing || !fn->name;
#define DEVICE(name) fn->name = (PFN_vk##name)fn->GetDeviceProcAddr(device, "vk" #name); missing = missing || !fn->name;

static int open_library(struct g4_vk_fn *fn, g4_err *err)
{
    bool missing = false;
    library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return g4_fail(err, G4_EDEVICE, "no Vulkan here: %s", dlerror());
    void *get = dlsym(library, "vkGetInstanceProcAddr");
    memcpy(&fn->GetInstanceProcAddr, &get, sizeof get);
    if (!get) return g4_fail(err, G4_EDEVICE, "libvulkan.so.1 has no vkGetInstanceProcAddr");
    G4_VK_FN_GLOBAL(GLOBAL)
    return missing ? g4_fail(err, G4_EDEVICE, "the Vulkan loader is older than version 1.1") : 0;
}

static int open_instance(struct g4_vk_fn *fn, g4_err *err)
{
    uint32_t version = 0;
    bool missing = false;
    if (fn->EnumerateInstanceVersion(&version) || version < VK_API_VERSION_1_2)
        return g4_fail(err, G4_EDEVICE, "the Vulkan loader is older than version 1.2");
    fn->api = version < VK_API_VERSION_1_3 ? VK_API_VERSION_1_2 : VK_API_VERSION_1_3;
    const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "g4", .pEngineName = "g4",
                                    .apiVersion = fn->api };
    const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
    const VkResult res = fn->CreateInstance(&info, NULL, &the.instance);
    if (res == VK_ERROR_INCOMPATIBLE_DRIVER) return g4_fail(err, G4_EDEVICE, "no Vulkan driver is installed");
    if (res) return g4_fail(err, G4_EDEVICE, "no Vulkan instance (error %d)", res);
    G4_VK_FN_INSTANCE(INSTANCE)
    if (missing) return g4_fail(err, G4_EDEVICE, "the Vulkan loader lacks an entry point of version 1.2");
    const void *mats = fn->GetInstanceProcAddr(the.instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    memcpy(&fn->GetPhysicalDeviceCooperativeMatrixProperties, &mats, sizeof mats);
    the.n_device = sizeof the.devices / sizeof *the.devices;
    const VkResult listed = fn->EnumeratePhysicalDevices(the.instance, &the.n_device, the.devices);
    if (listed < 0 || !the.n_device) return g4_fail(err, G4_EDEVICE, "Vulkan finds no device here");
    return 0;
}

static void close_all(void)
{
    if (the.instance && the.fn.DestroyInstance) the.fn.DestroyInstance(the.instance, NULL);
    if (library) dlclose(library);
    library = NULL;
    memset(&the, 0, sizeof the);
}

const struct g4_vk_instance *g4_vk_instance_get(g4_err *err)
{
    pthread_mutex_lock(&lock);
    if (!is_open) {
        is_open = !open_library(&the.fn, err) && !open_instance(&the.fn, err);
        if (!is_open) close_all();
    }
    const bool fine = is_open;
    pthread_mutex_unlock(&lock);
    return fine ? &the : NULL;
}

/* Device files that GPU drivers make on Linux. */
bool g4_vulkan_likely(void)
{
    glob_t found;
    const bool any = !glob("/dev/dri/renderD*", 0, NULL, &found);
    globfree(&found);
    return any || !access("/dev/nvidia0", F_OK) || !access("/dev/dxg", F_OK);
}

int g4_vk_load_device(struct g4_vk_fn *fn, VkDevice device, g4_err *err)
{
    bool missing = false;
    G4_VK_FN_DEVICE(DEVICE)
    return missing ? g4_fail(err, G4_EDEVICE, "the Vulkan driver lacks an entry point of version 1.2") : 0;
}
