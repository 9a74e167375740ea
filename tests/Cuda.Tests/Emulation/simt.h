// SIMT on a CPU: what the kernels of src/Kernels/Cuda/Sources need from CUDA C++, so that a C++ compiler can read the very
// same files. Every thread of a thread block is a fiber; blocks run one after the other.
//
// Stricter than a GPU on purpose:
//  - shared memory is filled with NaNs before each block and has guards behind it;
//  - asynchronous copies happen at the wait, not before, so that a missing wait reads NaNs;
//  - fibers run in an order that SIMT_ORDER chooses (0 ascending, 1 descending, n random), so that a missing barrier shows;
//  - a barrier or a warp's exchange that not all threads reach ends the launch with an error;
//  - wgmma (wgmma.cpp) reads shared memory as the asynchronous proxy sees it, by the descriptor's bits, at the issue or only
//    at the wait (an odd or an even SIMT_ORDER); meanwhile its accumulators are NaNs.
// Looser: no timing, no caches, sums of multiply_tile are one FP32 chain (a GPU's order inside a tile is its own).
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define KREWE_DEVICE static inline __attribute__((unused))
#define KREWE_INSIDE inline
#define __device__
#define __shared__ static __attribute__((section("simt_shared")))
#define __restrict__

struct alignas(8) uint2 { uint32_t x, y; };
struct alignas(8) float2 { float x, y; };
inline float2 make_float2(float x, float y) { return {x, y}; }
struct alignas(16) uint4 { uint32_t x, y, z, w; };

namespace simt
{
struct Dim { int x, y, z; };

struct Thread
{
    Dim index;
    int linear;
    struct Warp* warp;
};

// The fiber that runs. Launches of a process follow each other: whoever launches sees to it.
extern Thread* current;
extern Dim block_index, block_dim, grid_dim;
extern unsigned char* dynamic_shared;

void barrier();
// Publishes `bytes` of this lane, waits for the lanes of the mask, and returns where lane i's are: at + i * 64.
const unsigned char* exchange(uint32_t mask, const void* value, int bytes);
void copy_async_16(void* shared, const void* global);
void copy_async_commit();
void copy_async_wait(int pending);


// Hopper's warpgroup products. What breaks their rules ends the launch with an error: see wgmma.cpp.
uint32_t shared_address(const void* shared);
void store_shared_16(void* shared, const void* value);
void proxy_fence();
void wgmma_fence();
void wgmma(float* d, int columns, const uint32_t* a, uint64_t b, bool transposed, float (*convert)(uint16_t));
void wgmma_commit();
void wgmma_wait(int pending);

float half_to_float(uint16_t bits);
uint16_t float_to_half(float value);

template <class T>
T of_lane(const unsigned char* all, int lane)
{
    T value;
    memcpy(&value, all + lane * 64, sizeof value);
    return value;
}

// What a lane brings to multiply_tile, and gets back.
struct TilePart { float a[8]; float b[4]; float d[4]; };

// The last lane to come computes for all: a chain of fused multiply-adds over ascending k for each element.
void multiply_parts(TilePart& mine);

// See multiply_tile in krewe.cuh for who holds what.
template <class Convert>
void multiply_tile(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Convert convert)
{
    TilePart mine;
    for (int i = 0; i < 4; i++)
    {
        mine.a[2 * i] = convert((uint16_t)a[i]);
        mine.a[2 * i + 1] = convert((uint16_t)(a[i] >> 16));
        mine.d[i] = d[i];
    }
    mine.b[0] = convert((uint16_t)b0);
    mine.b[1] = convert((uint16_t)(b0 >> 16));
    mine.b[2] = convert((uint16_t)b1);
    mine.b[3] = convert((uint16_t)(b1 >> 16));
    multiply_parts(mine);
    for (int i = 0; i < 4; i++) d[i] = mine.d[i];
}

inline void load_transposed(uint32_t* out, const void* row)
{
    const unsigned char* all = exchange(0xffffffffu, &row, sizeof row);
    int lane = current->linear % 32, g = lane / 4, t = lane % 4;
    for (int matrix = 0; matrix < 4; matrix++)
    {
        const uint16_t* first = of_lane<const uint16_t*>(all, matrix * 8 + 2 * t);
        const uint16_t* second = of_lane<const uint16_t*>(all, matrix * 8 + 2 * t + 1);
        out[matrix] = first[g] | ((uint32_t)second[g] << 16);
    }
}

typedef void (*Body)(const void* arguments);

// Runs a grid. Returns null, or what went wrong.
const char* launch(Body body, const void* arguments, Dim grid, Dim block, int shared_bytes, int order);
}

#define threadIdx (simt::current->index)
#define blockIdx (simt::block_index)
#define blockDim (simt::block_dim)
#define gridDim (simt::grid_dim)

// The exported function of a kernel runs its whole grid; the launcher's struct arrives by address.
#define KREWE_KERNEL(name, Arguments, threads)                                                                       \
    static void name##_body(const Arguments& args);                                                                  \
    static void name##_thread(const void* arguments) { name##_body(*(const Arguments*)arguments); }                  \
    extern "C" const char* name(const void* arguments, simt::Dim grid, simt::Dim block, int shared_bytes, int order)  \
    {                                                                                                                 \
        if (block.x * block.y * block.z > (threads)) return "more threads than the kernel's bound";                   \
        return simt::launch(name##_thread, arguments, grid, block, shared_bytes, order);                              \
    }                                                                                                                 \
    extern "C" int name##_argument_bytes() { return sizeof(Arguments); }                                              \
    static void name##_body(const Arguments& args)

#define KREWE_EARLY_KERNEL(name, Arguments, threads, blocks) KREWE_KERNEL(name, Arguments, threads)
inline void wait_for_grid_before() {}

#define KREWE_DYNAMIC_SHARED(name) unsigned char* name = simt::dynamic_shared

inline void __syncthreads() { simt::barrier(); }
inline void __syncwarp() { simt::exchange(0xffffffffu, 0, 0); }

template <class T>
T __shfl_sync(uint32_t mask, T value, int lane)
{
    return simt::of_lane<T>(simt::exchange(mask, &value, sizeof value), lane & 31);
}

template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int distance)
{
    return __shfl_sync(mask, value, (simt::current->linear & 31) ^ distance);
}

template <class T>
T __shfl_down_sync(uint32_t mask, T value, int distance)
{
    int lane = simt::current->linear & 31;
    return __shfl_sync(mask, value, lane + distance > 31 ? lane : lane + distance);
}

inline uint32_t __ballot_sync(uint32_t mask, int predicate)
{
    const unsigned char* all = simt::exchange(mask, &predicate, sizeof predicate);
    uint32_t votes = 0;
    for (int lane = 0; lane < 32; lane++)
        if ((mask >> lane & 1) && simt::of_lane<int>(all, lane)) votes |= 1u << lane;
    return votes;
}

inline int __any_sync(uint32_t mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(uint32_t mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

// One fiber runs at a time: a plain update is atomic.
template <class T>
T atomicAdd(T* at, T value) { T old = *at; *at = old + value; return old; }
template <class T>
T atomicMax(T* at, T value) { T old = *at; if (old < value) *at = value; return old; }
template <class T>
T atomicExch(T* at, T value) { T old = *at; *at = value; return old; }
template <class T>
T atomicCAS(T* at, T expected, T value) { T old = *at; if (old == expected) *at = value; return old; }

inline float __int_as_float(int bits) { float value; memcpy(&value, &bits, 4); return value; }
inline float __uint_as_float(uint32_t bits) { float value; memcpy(&value, &bits, 4); return value; }
inline uint32_t __float_as_uint(float value) { uint32_t bits; memcpy(&bits, &value, 4); return bits; }
template <class T>
T min(T a, T b) { return b < a ? b : a; }
template <class T>
T max(T a, T b) { return a < b ? b : a; }
