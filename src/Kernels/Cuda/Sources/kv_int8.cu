// Lossy form of KV for storage and transfer, opt-in: a head's vector of one token (HEAD_DIM elements) as whole numbers of
// -127 to 127 times one scale, rounded as the CPU's Int8Row. Codes have the block's own layout; behind them lie the
// scales, [layers][keys, values][kv_heads][block_tokens] floats. One warp a vector.
#include "krewe.cuh"

struct KvInt8Arguments
{
    uint8_t* arena;        // blocks of elements
    uint8_t* packed;       // [grid.y x packed_stride] bytes
    const int* blocks;     // [grid.y]
    int64_t block_stride;  // bytes
    int64_t packed_stride; // bytes, a multiple of 16
    int layers;
    int kv_heads;
    int block_tokens;
    int padding;
};

// Where a vector's elements are: element i is at first + i * step.
struct KvVector
{
    int64_t first;
    int step;
};

KREWE_DEVICE KvVector kv_vector(const KvInt8Arguments& args, int vector)
{
    int slot = vector % args.block_tokens;
    int head = vector / args.block_tokens % args.kv_heads;
    int plane = vector / args.block_tokens / args.kv_heads;
    int64_t start = ((int64_t)plane * args.kv_heads + head) * HEAD_DIM * args.block_tokens;
    bool is_value = plane % 2 == 1;
    KvVector place = {start + (is_value ? slot * HEAD_DIM : slot), is_value ? 1 : args.block_tokens};
    return place;
}

KREWE_DEVICE int64_t kv_scales_at(const KvInt8Arguments& args)
{
    return (int64_t)args.layers * 2 * args.kv_heads * HEAD_DIM * args.block_tokens;
}

KREWE_KERNEL(kv_quantise, KvInt8Arguments, 128)
{
    int lane = threadIdx.x % WARP_LANES;
    int vector = blockIdx.x * (blockDim.x / WARP_LANES) + threadIdx.x / WARP_LANES;
    if (vector >= args.layers * 2 * args.kv_heads * args.block_tokens) return;
    const element* source = (const element*)(args.arena + args.blocks[blockIdx.y] * args.block_stride);
    uint8_t* packed = args.packed + blockIdx.y * args.packed_stride;
    KvVector place = kv_vector(args, vector);
    float largest = 0;
    bool broken = false;
    for (int i = lane; i < HEAD_DIM; i += WARP_LANES)
    {
        float magnitude = fabsf(to_float(source[place.first + (int64_t)i * place.step]));
        broken |= !(magnitude < KREWE_INFINITY);
        largest = fmaxf(largest, magnitude);
    }
    for (int distance = 16; distance > 0; distance >>= 1)
        largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, distance));
    // A maximum passes over NaN; a fault in a model must stay visible.
    float scale = __any_sync(ALL_LANES, broken) ? __int_as_float(0x7fffffff) : largest / 127.0f;
    for (int i = lane; i < HEAD_DIM; i += WARP_LANES)
    {
        int64_t at = place.first + (int64_t)i * place.step;
        float code = !(scale > 0) ? 0 : fminf(fmaxf(rintf(to_float(source[at]) / scale), -127.0f), 127.0f);
        ((int8_t*)packed)[at] = (int8_t)code;
    }
    if (lane == 0) ((float*)(packed + kv_scales_at(args)))[vector] = scale;
}

KREWE_KERNEL(kv_dequantise, KvInt8Arguments, 128)
{
    int lane = threadIdx.x % WARP_LANES;
    int vector = blockIdx.x * (blockDim.x / WARP_LANES) + threadIdx.x / WARP_LANES;
    if (vector >= args.layers * 2 * args.kv_heads * args.block_tokens) return;
    element* target = (element*)(args.arena + args.blocks[blockIdx.y] * args.block_stride);
    const uint8_t* packed = args.packed + blockIdx.y * args.packed_stride;
    KvVector place = kv_vector(args, vector);
    float scale = ((const float*)(packed + kv_scales_at(args)))[vector];
    for (int i = lane; i < HEAD_DIM; i += WARP_LANES)
    {
        int64_t at = place.first + (int64_t)i * place.step;
        target[at] = to_element(((const int8_t*)packed)[at] * scale);
    }
}
