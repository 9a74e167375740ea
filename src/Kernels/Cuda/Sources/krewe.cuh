// What every kernel shares: number formats, reductions of a fixed order, and the few instructions that have no C.
//
// Two compilers read these files: NVRTC for a GPU, and a C++ compiler with KREWE_EMULATED for the tests on a CPU.
// -fmad=false (-ffp-contract=off) is part of the contract: a product and a sum are one rounding each unless fmaf says
// otherwise, so that two kernels with the same line of arithmetic give the same bits.
//
// Options, as macros: HEAD_DIM (a multiple of 16), ELEMENT_F16 (0: weights, activations and KV are BF16; 1: F16),
// KV_INT8 (1: KV lies in memory as whole numbers and scales), WGMMA (1: compiled for sm_90a, with the kernels that need it).
#pragma once

#ifndef HEAD_DIM
#error "HEAD_DIM is not defined"
#endif
#ifndef ELEMENT_F16
#define ELEMENT_F16 0
#endif
#ifndef KV_INT8
#define KV_INT8 0
#endif

#ifndef WGMMA
#define WGMMA 0
#endif

#ifdef KREWE_EMULATED
#include "simt.h"
#else
typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;

#define KREWE_DEVICE static __device__ __forceinline__
#define KREWE_INSIDE __device__ __forceinline__  // of a struct

// On sm_90 and newer a grid may be launched while the one before it in the stream still runs (the launcher's choice). Every
// thread lets the next grid come at once and waits, before it reads what changes from step to step or writes anything, until
// the grid before has ended and all of its stores are visible. All grids do so: then whatever was before that one has ended.
static __device__ __forceinline__ void let_next_grid_come()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

static __device__ __forceinline__ void wait_for_grid_before()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Every kernel takes one struct, whose twin the launcher fills.
#define KREWE_KERNEL(name, Arguments, threads)                                                     \
    KREWE_DEVICE void name##_body(const Arguments& args);                                          \
    extern "C" __global__ void __launch_bounds__(threads, 1) name(const Arguments args)            \
    {                                                                                              \
        let_next_grid_come();                                                                      \
        wait_for_grid_before();                                                                    \
        name##_body(args);                                                                         \
    }                                                                                              \
    KREWE_DEVICE void name##_body(const Arguments& args)
// One whose body waits itself, after it has asked for what no grid writes: weights. `blocks` of them fit a multiprocessor.
#define KREWE_EARLY_KERNEL(name, Arguments, threads, blocks)                                       \
    KREWE_DEVICE void name##_body(const Arguments& args);                                          \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const Arguments args)       \
    {                                                                                              \
        let_next_grid_come();                                                                      \
        name##_body(args);                                                                         \
    }                                                                                              \
    KREWE_DEVICE void name##_body(const Arguments& args)
// Swizzled matrices begin at multiples of 1024 bytes.
#define KREWE_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#endif

#define KREWE_INFINITY __int_as_float(0x7f800000)
#define WARP_LANES 32
#define ALL_LANES 0xffffffffu

// A BF16 or F16 number as its bits.
typedef uint16_t element;

// Sums of a product that was split over K, one plane a chunk. The value of an element is their sum in order of chunks.
struct Partials
{
    const float* data;
    int64_t chunk_stride;
    int row_stride;
    int chunks;
};

KREWE_DEVICE float fold(const Partials& partials, int row, int column)
{
    const float* at = partials.data + (int64_t)row * partials.row_stride + column;
    float sum = at[0];
    for (int chunk = 1; chunk < partials.chunks; chunk++) sum += at[chunk * partials.chunk_stride];
    return sum;
}

// The same for COUNT columns, STEP apart, of which those from `columns` on become zeros: a chunk's loads are all under way
// before the first is added.
template <int COUNT, int STEP>
KREWE_DEVICE void fold_some(float* sum, const Partials& partials, int row, int column, int columns)
{
    const float* at = partials.data + (int64_t)row * partials.row_stride + column;
#pragma unroll
    for (int i = 0; i < COUNT; i++) sum[i] = column + i * STEP < columns ? at[i * STEP] : 0.0f;
#pragma unroll 4
    for (int chunk = 1; chunk < partials.chunks; chunk++)
    {
        const float* next = at + chunk * partials.chunk_stride;
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            if (column + i * STEP < columns) sum[i] += next[i * STEP];
    }
}

KREWE_DEVICE float bf16_to_float(element bits) { return __uint_as_float((uint32_t)bits << 16); }

// To nearest even, as the CPU's KvNumber.ToBrain.
KREWE_DEVICE element float_to_bf16(float value)
{
    uint32_t bits = __float_as_uint(value);
    if (value != value) return (element)((bits >> 16) | 0x0040u);
    return (element)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

KREWE_DEVICE float to_float(element bits)
{
#if ELEMENT_F16
#ifdef KREWE_EMULATED
    return simt::half_to_float(bits);
#else
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
#endif
#else
    return bf16_to_float(bits);
#endif
}

KREWE_DEVICE element to_element(float value)
{
#if ELEMENT_F16
#ifdef KREWE_EMULATED
    return simt::float_to_half(value);
#else
    element bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
#endif
#else
    return float_to_bf16(value);
#endif
}

// Two elements in a register, the first one in the lower half.
KREWE_DEVICE uint32_t pack(float first, float second)
{
#ifdef KREWE_EMULATED
    return (uint32_t)to_element(first) | ((uint32_t)to_element(second) << 16);
#else
    uint32_t both;
#if ELEMENT_F16
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
#else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
#endif
    return both;
#endif
}

// 2^value; 0 where that is no normal number.
KREWE_DEVICE float exp2_of(float value)
{
#ifdef KREWE_EMULATED
    float power = exp2f(value);
    return power < 1.17549435e-38f ? 0.0f : power;
#else
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(value));
    return power;
#endif
}

// The same value; what follows from it is computed again and not kept from an earlier time.
KREWE_DEVICE int anew(int value)
{
#ifndef KREWE_EMULATED
    asm volatile("" : "+r"(value));
#endif
    return value;
}

// The sum over a warp, the same in every lane: (i, i ^ 16), then 8, 4, 2, 1.
KREWE_DEVICE float warp_sum(float value)
{
    for (int distance = 16; distance > 0; distance >>= 1)
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    return value;
}

// The sum over a thread block of whole warps, the same in every thread: warps in order. scratch: one float a warp.
KREWE_DEVICE float block_sum(float value, float* scratch)
{
    value = warp_sum(value);
    __syncthreads();
    if (threadIdx.x % WARP_LANES == 0) scratch[threadIdx.x / WARP_LANES] = value;
    __syncthreads();
    float sum = scratch[0];
    for (int warp = 1; warp < blockDim.x / WARP_LANES; warp++) sum += scratch[warp];
    return sum;
}

KREWE_DEVICE void store_shared_16(uint4* shared, uint4 value)
{
#ifdef KREWE_EMULATED
    simt::store_shared_16(shared, &value);
#else
    *shared = value;
#endif
}

// 16 bytes from global to shared memory, in the background.
KREWE_DEVICE void copy_async_16(void* shared, const void* global)
{
#ifdef KREWE_EMULATED
    simt::copy_async_16(shared, global);
#else
    uint32_t address = (uint32_t)__cvta_generic_to_shared(shared);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
#endif
}

KREWE_DEVICE void copy_async_commit()
{
#ifdef KREWE_EMULATED
    simt::copy_async_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Returns when at most PENDING groups of this thread are under way.
template <int PENDING>
KREWE_DEVICE void copy_async_wait()
{
#ifdef KREWE_EMULATED
    simt::copy_async_wait(PENDING);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// d += a x b of one warp, [16 x 16] x [16 x 8], sums in FP32. Lane = 4 * g + t holds
//   a: rows g, g + 8 x columns 2t, 2t + 1 (a[0], a[1]) and 2t + 8, 2t + 9 (a[2], a[3])
//   b: rows 2t, 2t + 1 (b[0]) and 2t + 8, 2t + 9 (b[1]) of column g
//   d: row g x columns 2t, 2t + 1 (d[0], d[1]) and row g + 8 (d[2], d[3])
KREWE_DEVICE void multiply_tile(float* d, const uint32_t* a, uint32_t b0, uint32_t b1)
{
#ifdef KREWE_EMULATED
    simt::multiply_tile(d, a, b0, b1, to_float);
#elif ELEMENT_F16
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Four [8 x 8] matrices from shared memory, transposed: lane i gives the address of row i % 8 of matrix i / 8 (16
// bytes), and gets of each matrix rows 2t, 2t + 1 of column g: the b of multiply_tile.
KREWE_DEVICE void load_transposed(uint32_t* out, const void* row)
{
#ifdef KREWE_EMULATED
    simt::load_transposed(out, row);
#else
    uint32_t address = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
#endif
}
