// Hopper's asynchronous product of a warpgroup (sm_90a): d += a x b, [64 x 16] x [16 x N], sums in FP32. A warp of the four
// has 16 rows of a and d, laid out among its lanes as multiply_tile's; b lies in shared memory.
//
// The rules (PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions"): registers that a product uses are not touched from
// wgmma_begin to wgmma_end; who wrote b calls publish_to_wgmma before the barrier.
#pragma once
#include "krewe.cuh"

// What this thread wrote to shared memory, and its asynchronous copies that have landed, can be read by wgmma behind the
// next barrier.
KREWE_DEVICE void publish_to_wgmma()
{
#ifdef KREWE_EMULATED
    simt::proxy_fence();
#else
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// The compiler may move no use of the accumulators across this.
KREWE_DEVICE void hold(float* d, int count)
{
#ifndef KREWE_EMULATED
#pragma unroll
    for (int i = 0; i < count; i++) asm volatile("" : "+f"(d[i])::"memory");
#endif
}

// The same for operands in registers: they are there before the products begin.
KREWE_DEVICE void hold(uint32_t* a, int count)
{
#ifndef KREWE_EMULATED
#pragma unroll
    for (int i = 0; i < count; i++) asm volatile("" : "+r"(a[i])::"memory");
#endif
}

// Before the products into d[0 .. count - 1].
KREWE_DEVICE void wgmma_begin(float* d, int count)
{
    hold(d, count);
#ifdef KREWE_EMULATED
    simt::wgmma_fence();
#else
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

// Behind the products that are to run.
KREWE_DEVICE void wgmma_commit()
{
#ifdef KREWE_EMULATED
    simt::wgmma_commit();
#else
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

// Returns when all products that were committed are done.
KREWE_DEVICE void wgmma_end(float* d, int count)
{
#ifdef KREWE_EMULATED
    simt::wgmma_wait(0);
#else
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#endif
    hold(d, count);
}

// Names a matrix of 16 rows (K) of ROW_BYTES with N contiguous: eight rows are a swizzled atom that begins at a multiple of
// its size, in which bits 4 to 6 of an address, as far as a row goes, are changed by bits 7 to 9.
template <int ROW_BYTES>
KREWE_DEVICE uint64_t wgmma_matrix(const unsigned char* shared)
{
#ifdef KREWE_EMULATED
    uint32_t address = simt::shared_address(shared);
#else
    uint32_t address = (uint32_t)__cvta_generic_to_shared(shared);
#endif
    const uint64_t Swizzle = ROW_BYTES == 128 ? 1 : ROW_BYTES == 64 ? 2 : 3;
    // From atom to atom in K. In N there is one, so the other offset counts for nothing and is the same.
    const uint64_t Stride = 8 * ROW_BYTES / 16;
    return (uint64_t)((address & 0x3ffff) >> 4) | Stride << 16 | Stride << 32 | Swizzle << 62;
}

#if ELEMENT_F16
#define WGMMA_TYPES "f32.f16.f16"
#else
#define WGMMA_TYPES "f32.bf16.bf16"
#endif

// One product of the warpgroup, N = ROW_BYTES / 2, under way until wgmma_end.
template <int ROW_BYTES>
KREWE_DEVICE void wgmma(float* d, const uint32_t* a, const unsigned char* shared)
{
    uint64_t b = wgmma_matrix<ROW_BYTES>(shared);
#ifdef KREWE_EMULATED
    simt::wgmma(d, ROW_BYTES / 2, a, b, true, to_float);
#else
    // Behind the matrices: d counts, neither a nor b is negated, b has N contiguous.
    if (ROW_BYTES == 128)
        asm volatile(
            "wgmma.mma_async.sync.aligned.m64n64k16." WGMMA_TYPES
            " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
            "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
              "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
              "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
              "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
            : "memory");
    else if (ROW_BYTES == 64)
        asm volatile(
            "wgmma.mma_async.sync.aligned.m64n32k16." WGMMA_TYPES
            " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, %20, 1, 1, 1, 1;"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
              "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
            : "memory");
    else
        asm volatile(
            "wgmma.mma_async.sync.aligned.m64n16k16." WGMMA_TYPES
            " {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9,%10,%11}, %12, 1, 1, 1, 1;"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
            : "memory");
#endif
}
