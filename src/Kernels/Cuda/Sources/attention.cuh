// Attention over paged keys and values: what decode and prefill share, so that a token's row has the same bits in both.
//
// Order of a row's sums, by position alone: keys come in tiles of 64 (positions 64 i ..), tiles in partitions of 512. Inside
// a partition an online softmax (arXiv 1805.02867) runs over its tiles; partitions are folded in order. A tile or partition
// of which the row sees nothing changes no bit of it, so it does not matter whether other rows have it computed.
//
// Query heads of one KV head are packed: query q of a sequence's chunk is row q / group, head q % group. One warp has 16.
#pragma once
#include "krewe.cuh"

#define TILE_KEYS 64
#define PARTITION_KEYS 512
#define TILE_BYTES (2 * TILE_KEYS * HEAD_DIM * 2)
#define OUTPUT_TILES (HEAD_DIM / 8)
#define VALUE_VECTORS (HEAD_DIM / 8)

struct AttentionArguments
{
    const element* queries;    // [rows x query_stride], rotated
    const element* keys;       // this layer's keys of block 0: [kv_heads][HEAD_DIM][block_tokens]
    const element* values;     // this layer's values of block 0: [kv_heads][block_tokens][HEAD_DIM]
    const int* block_tables;   // all sequences'
    const int* work;           // decode: [items x 3] row, position, table start;
                               // prefill: [items x 5] first row, first position, rows, table start, first query
    const int* count;          // work items
    element* output;           // [rows x output_stride]
    float* partial;            // decode: [items][kv_heads * group][partitions][HEAD_DIM + 2]: sums, maximum, total
    int64_t block_stride;      // elements from block to block
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
        int slot = position % args.block_tokens;
        copy_async_16(target, args.keys + table[position / args.block_tokens] * args.block_stride
            + ((int64_t)kv_head * HEAD_DIM + dim) * args.block_tokens + slot);
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
        int slot = position % args.block_tokens;
        copy_async_16(target, args.values + table[position / args.block_tokens] * args.block_stride
            + ((int64_t)kv_head * args.block_tokens + slot) * HEAD_DIM + vector * 8);
    }
    copy_async_commit();
}

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
