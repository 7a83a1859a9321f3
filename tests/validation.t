#!/bin/sh
# The Vulkan device under the Khronos validation layer with synchronisation validation: not one message.  The layer is
# shown to speak first: a buffer without bytes is asked for.  G4_TEST_FULL=1 runs every test that uses the device.
n=0
ok() { # ok STATUS NAME
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}
build=${G4_BUILD:-build}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/plant.c" <<'END'
#include <vulkan/vulkan.h>
int main(void)
{
    const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2 };
    const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
    const float one = 1;
    const VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &one };
    const VkDeviceCreateInfo dev = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue };
    const VkBufferCreateInfo nothing = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT };
    VkInstance instance;
    VkPhysicalDevice phys;
    VkDevice device;
    VkBuffer buffer;
    uint32_t n = 1;
    if (vkCreateInstance(&info, 0, &instance) || vkEnumeratePhysicalDevices(instance, &n, &phys) < 0 || !n) return 1;
    if (vkCreateDevice(phys, &dev, 0, &device)) return 1;
    vkCreateBuffer(device, &nothing, 0, &buffer);
    return 0;
}
END
"$build/g4-gen" --list-devices | grep -q '^vulkan:.*llvmpipe' || { echo '1..0 # SKIP no Vulkan CPU device here (mesa-vulkan-drivers)'; exit; }
export ASAN_OPTIONS=detect_leaks=0 # the layer's own
export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
said() { # said FILE: lines that the layer wrote
    grep -cE 'VUID|SYNC-HAZARD|UNASSIGNED|Validation (Error|Warning|Performance)' "$1"
}
${CC:-cc} -o "$tmp/plant" "$tmp/plant.c" -lvulkan && "$tmp/plant" >"$tmp/out" 2>&1
[ "$(said "$tmp/out")" -gt 0 ]
ok $? "the validation layer is at work"

tests="ops/rows ops/vk_moe"
[ "$G4_TEST_FULL" ] && tests="ops/rows ops/pick ops/vk_moe ops/vk_matmul ops/attend vectors/vk_paths"
for t in $tests; do
    env -u G4_TEST_FULL "$build/tests/$t.t" >"$tmp/out" 2>&1
    status=$?
    count=$(said "$tmp/out")
    [ $status = 0 ] && [ "$count" = 0 ]
    ok $? "$t: status $status, $count messages"
    [ "$count" = 0 ] || grep -E 'VUID|SYNC-HAZARD|UNASSIGNED|Validation' "$tmp/out" | head -5 | sed 's/^/# /'
done
echo "1..$n"
