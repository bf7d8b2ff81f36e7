/*
 * Prints how many thousand ticks this machine's time stamp counter makes in a second.
 *
 * QEMU translates a guest's RDTSC into the host's, and gives the machine nothing else to measure it by but an old
 * timer's interrupts. On a busy host those come late, the kernel gives the counter up, and then keeps time by counting
 * interrupts that it may never get: minutes become seconds, and signers' clocks differ. So the kernel is told.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(void)
{
    int64_t begin = nanoseconds(), end;
    uint64_t first = __rdtsc(), last;

    do {
        end = nanoseconds();
        last = __rdtsc();
    } while (end - begin < 200000000);
    printf("%llu\n", (unsigned long long)((last - first) * 1000000ULL / (uint64_t)(end - begin)));
    return 0;
}
