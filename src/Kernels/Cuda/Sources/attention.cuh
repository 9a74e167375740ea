// Attention over paged keys and values: what decode and prefill share, so that a token's row has the same bits in both.
//
// Order of a row's sums, by position alone: keys come in tiles of 64 (positions 64 i ..), tiles in partitions of 512. Inside
// a partition an online softmax (arXiv 1805.02867) runs over its tiles; partitions are folded in order. A tile or partition
// of which the row sees nothing changes no bit of it, so it does not matter whether other rows have it computed.
//
// Query heads of one KV head are packed: query q of a sequence's chunk is row q / group, head q % group. One warp has 16.
#pragma once
#include "kv.cuh"

#define TILE_KEYS 64
#define PARTITION_KEYS 512
#define TILE_BYTES (2 * TILE_KEYS * HEAD_DIM * 2)
#if KV_INT8
// Codes and scales arrive in one of two stages; whoever attends has them expanded to elements in the tile behind both.
#define STAGE_BYTES (2 * TILE_KEYS * KV_VECTOR_NUMBERS)
#define TILE_OF(shared, stage) ((shared) + 2 * STAGE_BYTES)
#else
#define STAGE_BYTES TILE_BYTES
#define TILE_OF(shared, stage) ((shared) + (stage) * STAGE_BYTES)
#endif
#define OUTPUT_TILES (HEAD_DIM / 8)
#define VALUE_VECTORS (HEAD_DIM / 8)

struct AttentionArguments
{
    const element* queries;    // [rows x query_stride], rotated
    const kv_number* keys;     // this layer's keys of block 0: [kv_heads][HEAD_DIM][block_tokens]
    const kv_number* values;   // this layer's values of block 0: [kv_heads][block_tokens][HEAD_DIM]
    const int* block_tables;   // all sequences'
    const int* work;           // decode: [items x 3] row, position, table start;
                               // prefill: [items x 5] first row, first position, rows, table start, first query
    const int* count;          // work items
    element* output;           // [rows x output_stride]
    float* partial;            // decode: [items][kv_heads * group][partitions][HEAD_DIM + 2]: sums, maximum, total
    int64_t block_stride;      // numbers from block to block
    int kv_heads;
    int group;                 // query heads of a KV head
    int block_tokens;
    int query_stride;
    int output_stride;
    int window;                // a row sees this many last positions, its own included; 0: all
    int partitions;            // room in partial
    float scale;               // of the scores, times log2(e)
};

// A row's state: scores' maximum, sum of weights, weighted sum of values. One lane has rows g and g + 8 of its warp.
struct Attended
{
    float maximum[2];
    float total[2];
    float sum[OUTPUT_TILES][4];
};

KREWE_DEVICE void clear(Attended& state)
{
    for (int i = 0; i < 2; i++)
    {
        state.maximum[i] = -KREWE_INFINITY;
        state.total[i] = 0;
    }
#pragma unroll
    for (int tile = 0; tile < OUTPUT_TILES; tile++)
        for (int i = 0; i < 4; i++) state.sum[tile][i] = 0;
}

// What the older of two states is multiplied by, and the newer; a state that saw nothing changes nothing.
KREWE_DEVICE void weigh(float older, float newer, float& of_older, float& of_newer)
{
    float maximum = fmaxf(older, newer);
    of_older = older == -KREWE_INFINITY ? 0.0f : exp2f(older - maximum);
    of_newer = newer == -KREWE_INFINITY ? 0.0f : exp2f(newer - maximum);
    if (maximum == -KREWE_INFINITY) of_older = 1.0f;
}

// The one line of arithmetic that folds partitions, in prefill's registers and in decode's merge.
KREWE_DEVICE float join(float older, float newer, float of_older, float of_newer)
{
    return fmaf(older, of_older, newer * of_newer);
}

KREWE_DEVICE void fold_partition(Attended& whole, const Attended& partition)
{
    for (int i = 0; i < 2; i++)
    {
        float of_older, of_newer;
        weigh(whole.maximum[i], partition.maximum[i], of_older, of_newer);
        whole.maximum[i] = fmaxf(whole.maximum[i], partition.maximum[i]);
        whole.total[i] = join(whole.total[i], partition.total[i], of_older, of_newer);
#pragma unroll
        for (int tile = 0; tile < OUTPUT_TILES; tile++)
        {
            for (int j = 2 * i; j < 2 * i + 2; j++)
                whole.sum[tile][j] = join(whole.sum[tile][j], partition.sum[tile][j], of_older, of_newer);
        }
    }
}

// Where in shared memory vector `vector` (8 slots) of a key tile's dimension lies: groups of 16 slots, the two vectors of a
// dimension swapped in every second four, so that load_transposed meets no bank twice.
KREWE_DEVICE int key_vector(int group, int dim, int vector)
{
    return (group * HEAD_DIM + dim) * 2 + (vector ^ ((dim >> 2) & 1));
}

KREWE_DEVICE int value_vector(int key, int vector)
{
    int swizzle = VALUE_VECTORS % 8 == 0 ? key & 7 : VALUE_VECTORS % 2 == 0 ? (key >> 2) & 1 : 0;
    return key * VALUE_VECTORS + (vector ^ swizzle);
}

// The keys (or values) of one head in the block that has this position; in it the position is number % block_tokens.
KREWE_DEVICE const kv_number* plane_of(
    const AttentionArguments& args, const kv_number* planes, const int* table, int kv_head, int position)
{
    return planes + table[position / args.block_tokens] * args.block_stride + kv_head_start(kv_head, args.block_tokens);
}

#if KV_INT8
// Starts the copies of the stage of the tile that begins at position `first`: codes of keys as [group of 16 slots][HEAD_DIM],
// of values as [slot][HEAD_DIM], scales of keys and of values. What lies from `end` on is left out.
KREWE_DEVICE void load_tile(
    const AttentionArguments& args, unsigned char* shared, const int* table, int kv_head, int first, int end, int thread,
    int threads)
{
    uint4* keys = (uint4*)shared;
    uint4* values = keys + TILE_KEYS * HEAD_DIM / 16;
    uint4* scales = values + TILE_KEYS * HEAD_DIM / 16;
    for (int i = thread; i < TILE_KEYS * HEAD_DIM / 16; i += threads)
    {
        int dim = i % HEAD_DIM, position = first + i / HEAD_DIM * 16;
        if (position >= end) continue;
        copy_async_16(keys + i, plane_of(args, args.keys, table, kv_head, position)
            + (int64_t)dim * args.block_tokens + position % args.block_tokens);
    }
    for (int i = thread; i < TILE_KEYS * HEAD_DIM / 16; i += threads)
    {
        int vector = i % (HEAD_DIM / 16), position = first + i / (HEAD_DIM / 16);
        if (position >= end) continue;
        copy_async_16(values + i, plane_of(args, args.values, table, kv_head, position)
            + (int64_t)(position % args.block_tokens) * HEAD_DIM + vector * 16);
    }
    for (int i = thread; i < 2 * TILE_KEYS / 4; i += threads)
    {
        int position = first + i % (TILE_KEYS / 4) * 4;
        if (position >= end) continue;
        copy_async_16(
            scales + i, plane_of(args, i < TILE_KEYS / 4 ? args.keys : args.values, table, kv_head, position)
                + (int64_t)HEAD_DIM * args.block_tokens + position % args.block_tokens * 4);
    }
    copy_async_commit();
}

// Eight codes times their scales, `step` apart, as elements.
KREWE_DEVICE uint4 expand_codes(const int8_t* codes, const float* scales, int step)
{
    uint4 elements = {
        pack(codes[0] * scales[0], codes[1] * scales[step]), pack(codes[2] * scales[2 * step], codes[3] * scales[3 * step]),
        pack(codes[4] * scales[4 * step], codes[5] * scales[5 * step]),
        pack(codes[6] * scales[6 * step], codes[7] * scales[7 * step])};
    return elements;
}

// A stage that has arrived, as the tile that attend_tile takes; zeros from `end` on, as below.
KREWE_DEVICE void expand_tile(unsigned char* shared, int stage, int first, int end, int thread, int threads)
{
    const int8_t* key_codes = (const int8_t*)(shared + stage * STAGE_BYTES);
    const int8_t* value_codes = key_codes + TILE_KEYS * HEAD_DIM;
    const float* key_scales = (const float*)(value_codes + TILE_KEYS * HEAD_DIM);
    const float* value_scales = key_scales + TILE_KEYS;
    uint4 zero = {0, 0, 0, 0};
    uint4* keys = (uint4*)TILE_OF(shared, stage);
    uint4* values = keys + TILE_KEYS * VALUE_VECTORS;
    for (int i = thread; i < TILE_KEYS * VALUE_VECTORS; i += threads)
    {
        int vector = i % 2, dim = i / 2 % HEAD_DIM, group = i / 2 / HEAD_DIM;
        int slot = group * 16 + vector * 8;
        keys[key_vector(group, dim, vector)] = first + slot >= end
            ? zero : expand_codes(key_codes + (group * HEAD_DIM + dim) * 16 + vector * 8, key_scales + slot, 1);
    }
    for (int i = thread; i < TILE_KEYS * VALUE_VECTORS; i += threads)
    {
        int vector = i % VALUE_VECTORS, key = i / VALUE_VECTORS;
        values[value_vector(key, vector)] = first + key >= end
            ? zero : expand_codes(value_codes + key * HEAD_DIM + vector * 8, value_scales + key, 0);
    }
}
#else
// Starts the copies of the tile that begins at position `first`; positions from `end` on become zeros, because what is in
// their slots may be no number, and 0 x NaN is NaN. `threads` threads take part, this one is number `thread`.
KREWE_DEVICE void load_tile(
    const AttentionArguments& args, unsigned char* shared, const int* table, int kv_head, int first, int end, int thread,
    int threads)
{
    uint4 zero = {0, 0, 0, 0};
    uint4* keys = (uint4*)shared;
    uint4* values = keys + TILE_KEYS * VALUE_VECTORS;
    for (int i = thread; i < TILE_KEYS * VALUE_VECTORS; i += threads)
    {
        int vector = i % 2, dim = i / 2 % HEAD_DIM, group = i / 2 / HEAD_DIM;
        int position = first + group * 16 + vector * 8;
        uint4* target = keys + key_vector(group, dim, vector);
        if (position >= end)
        {
            *target = zero;
            continue;
        }
        copy_async_16(target, plane_of(args, args.keys, table, kv_head, position)
            + (int64_t)dim * args.block_tokens + position % args.block_tokens);
    }
    for (int i = thread; i < TILE_KEYS * VALUE_VECTORS; i += threads)
    {
        int vector = i % VALUE_VECTORS, key = i / VALUE_VECTORS;
        int position = first + key;
        uint4* target = values + value_vector(key, vector);
        if (position >= end)
        {
            *target = zero;
            continue;
        }
        copy_async_16(target, plane_of(args, args.values, table, kv_head, position)
            + (int64_t)(position % args.block_tokens) * HEAD_DIM + vector * 8);
    }
    copy_async_commit();
}

// Elements arrive as the tile itself.
KREWE_DEVICE void expand_tile(unsigned char*, int, int, int, int, int) {}
#endif

// Queries of a lane's two rows, as the a of multiply_tile for each 16 dimensions; a row of null is zeros.
KREWE_DEVICE void load_queries(uint32_t (*query)[4], const element* upper, const element* lower)
{
    int t = threadIdx.x % 4;
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; k++)
    {
        query[k][0] = upper ? *(const uint32_t*)(upper + 16 * k + 2 * t) : 0;
        query[k][1] = lower ? *(const uint32_t*)(lower + 16 * k + 2 * t) : 0;
        query[k][2] = upper ? *(const uint32_t*)(upper + 16 * k + 2 * t + 8) : 0;
        query[k][3] = lower ? *(const uint32_t*)(lower + 16 * k + 2 * t + 8) : 0;
    }
}

// One warp attends with its 16 queries to the tile in shared memory that begins at position `first`. A row sees positions
// seen_from .. seen_to.
KREWE_DEVICE void attend_tile(
    Attended& state, const uint32_t (*query)[4], const unsigned char* shared, int first, const int* seen_from,
    const int* seen_to, float scale)
{
    int lane = threadIdx.x % WARP_LANES, t = lane % 4, matrix = lane / 8, row = lane % 8;
    const uint4* keys = (const uint4*)shared;
    const uint4* values = keys + TILE_KEYS * VALUE_VECTORS;
    float score[TILE_KEYS / 8][4];
#pragma unroll
    for (int group = 0; group < TILE_KEYS / 16; group++)
    {
        for (int i = 0; i < 4; i++) score[2 * group][i] = score[2 * group + 1][i] = 0;
#pragma unroll
        for (int k = 0; k < HEAD_DIM / 16; k++)
        {
            uint32_t key[4];
            load_transposed(key, keys + key_vector(group, k * 16 + (matrix & 1) * 8 + row, matrix >> 1));
            multiply_tile(score[2 * group], query[k], key[0], key[1]);
            multiply_tile(score[2 * group + 1], query[k], key[2], key[3]);
        }
    }

    for (int i = 0; i < 2; i++)
    {
        float maximum = -KREWE_INFINITY;
#pragma unroll
        for (int n = 0; n < TILE_KEYS / 8; n++)
        {
            for (int j = 0; j < 2; j++)
            {
                int position = first + n * 8 + 2 * t + j;
                float& value = score[n][2 * i + j];
                bool seen = position >= seen_from[i] && position <= seen_to[i];
                // A NaN stays: a maximum passes over it, the sum does not.
                value = seen ? value * scale : -KREWE_INFINITY;
                maximum = fmaxf(maximum, value);
            }
        }
        maximum = fmaxf(maximum, __shfl_xor_sync(ALL_LANES, maximum, 1));
        maximum = fmaxf(maximum, __shfl_xor_sync(ALL_LANES, maximum, 2));
        float older = state.maximum[i];
        float newer = fmaxf(older, maximum);
        float base = newer == -KREWE_INFINITY ? 0.0f : newer;
        float shrink = older == -KREWE_INFINITY ? 0.0f : exp2f(older - base);
        float total = 0;
#pragma unroll
        for (int n = 0; n < TILE_KEYS / 8; n++)
        {
            for (int j = 0; j < 2; j++)
            {
                float& value = score[n][2 * i + j];
                value = value == -KREWE_INFINITY ? 0.0f : exp2f(value - base);
                total += value;
            }
        }
        total += __shfl_xor_sync(ALL_LANES, total, 1);
        total += __shfl_xor_sync(ALL_LANES, total, 2);
        state.maximum[i] = newer;
        state.total[i] = fmaf(state.total[i], shrink, total);
#pragma unroll
        for (int tile = 0; tile < OUTPUT_TILES; tile++)
        {
            state.sum[tile][2 * i] *= shrink;
            state.sum[tile][2 * i + 1] *= shrink;
        }
    }

#pragma unroll
    for (int k = 0; k < TILE_KEYS / 16; k++)
    {
        uint32_t weight[4] = {
            pack(score[2 * k][0], score[2 * k][1]), pack(score[2 * k][2], score[2 * k][3]),
            pack(score[2 * k + 1][0], score[2 * k + 1][1]), pack(score[2 * k + 1][2], score[2 * k + 1][3])};
#pragma unroll
        for (int tile = 0; tile < OUTPUT_TILES; tile += 2)
        {
            uint32_t value[4];
            load_transposed(value, values + value_vector(k * 16 + (matrix & 1) * 8 + row, tile + (matrix >> 1)));
            multiply_tile(state.sum[tile], weight, value[0], value[1]);
            multiply_tile(state.sum[tile + 1], weight, value[2], value[3]);
        }
    }
}

// First position that the row at `position` sees.
KREWE_DEVICE int seen_first(const AttentionArguments& args, int position)
{
    return args.window > 0 && position - args.window + 1 > 0 ? position - args.window + 1 : 0;
}

// Writes one of a lane's two rows, divided by its total.
KREWE_DEVICE void store_row(const Attended& state, int i, element* output)
{
    int t = threadIdx.x % 4;
#pragma unroll
    for (int tile = 0; tile < OUTPUT_TILES; tile++)
        *(uint32_t*)(output + tile * 8 + 2 * t) =
            pack(state.sum[tile][2 * i] / state.total[i], state.sum[tile][2 * i + 1] / state.total[i]);
}
