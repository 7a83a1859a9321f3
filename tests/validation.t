#!/bin/sh
# The Vulkan device under the Khronos validation layer with synchronisation validation: not one message.  The layer is
# shown to speak first, of a buffer without bytes and of missing barriers.  G4_TEST_FULL=1 runs every test that uses the
# device, each with its default counts.
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
# What the layer says of any process goes into a pipe, and from there into one file.
mkfifo "$tmp/pipe"
exec 9<>"$tmp/pipe"
cat <&9 >>"$tmp/said" 2>/dev/null &
reader=$!
trap 'kill $reader; rm -rf "$tmp"' EXIT
cat >"$tmp/settings" <<END
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.log_filename = $tmp/pipe
khronos_validation.report_flags = error,warn,perf
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
END
export ASAN_OPTIONS=detect_leaks=0 # the layer's own
export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_SETTINGS_PATH="$tmp/settings"
export G4_TEST_ONLY_GPU=1
loader=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.*libvulkan\.so\.1 .*=> //p' | head -1)
mkdir "$tmp/shim" && ln -s "$PWD/$build/tests/fault/vulkan.so" "$tmp/shim/libvulkan.so.1"
shim() { # shim VARIABLE=VALUE COMMAND...: with tests/fault/vulkan.c in front of the loader
    env SHIM_VULKAN="$loader" LD_LIBRARY_PATH="$tmp/shim${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"
}
run() { # run COMMAND...: $status, and in $count how many messages there were
    : >"$tmp/said"
    "$@" >"$tmp/out" 2>&1
    status=$?
    sleep 0.2
    count=$(grep -cE 'VUID|SYNC-HAZARD|UNASSIGNED|Validation (Error|Warning|Performance)' "$tmp/said")
}
quiet() { # quiet NAME: the last run said nothing
    [ "$count" = 0 ]
    ok $? "$1: $count messages"
    [ "$count" = 0 ] || grep -E 'VUID|SYNC-HAZARD|UNASSIGNED|Validation' "$tmp/said" | head -5 | cut -c1-600 | sed 's/^/# /'
}

${CC:-cc} -o "$tmp/plant" "$tmp/plant.c" -lvulkan && run "$tmp/plant"
[ "$count" -gt 0 ]
ok $? "the validation layer is at work: $count messages about a buffer without bytes"
run shim SHIM_FREE=1 "$build/tests/ops/vk_limits.t"
[ "$count" -gt 0 ]
ok $? "and looks at barriers: $count messages when there are none"
run shim SHIM_PLAIN=1 "$build/tests/ops/vk_limits.t"
quiet "work that is cut into pieces"

tests="ops/rows.t ops/vk_moe.t ops/vk_limits.t"
[ "$G4_TEST_FULL" ] && tests="$tests ops/pick.t ops/attend.t ops/vk_matmul.t vectors/vk_paths.t vectors/text.t vectors/bits.t vectors/engine.t"
for t in $tests; do
    run env -u G4_TEST_FULL "$build/tests/$t"
    [ $status = 0 ]
    ok $? "$t: status $status"
    quiet "$t"
done
for t in ${G4_TEST_FULL:+vulkan vulkan_device vulkan_real}; do
    run env -u G4_TEST_FULL sh "tests/cli/$t.t"
    [ $status = 0 ] && ! grep -q '^not ok' "$tmp/out"
    ok $? "cli/$t.t: status $status"
    [ "$status" = 0 ] || grep '^not ok' "$tmp/out" | sed 's/^/# /'
    quiet "cli/$t.t"
done
echo "1..$n"
