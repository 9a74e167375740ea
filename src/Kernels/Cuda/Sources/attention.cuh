// Attention over paged keys and values: what decode and prefill share, so that a token's row has the same bits in both.
//
// Order of a row's sums, by position alone: keys come in tiles of 64 (positions 64 i ..), tiles in partitions of 512. Inside
// a partition an online softmax (arXiv 1805.02867) runs over its tiles; partitions are folded in order. A tile or partition
// of which the row sees nothing changes no bit of it, so it does not matter whether other rows have it computed.
//
// Query heads of one KV head are packed: query q of a sequence's chunk is row q / group, head q % group. One warp has 16.
#pragma once
#include "attention_tile.cuh"

#define PARTITION_KEYS 512
#define OUTPUT_TILES (HEAD_DIM / 8)

// A row's state: scores' maximum, sum of weights, weighted sum of values. One lane has rows g and g + 8 of its warp.
template <int TILES>
struct AttendedTiles
{
    float maximum[2];
    float total[2];
    float sum[TILES][4];
};

typedef AttendedTiles<OUTPUT_TILES> Attended;

template <int TILES>
KREWE_DEVICE void clear(AttendedTiles<TILES>& state)
{
    for (int i = 0; i < 2; i++)
    {
        state.maximum[i] = -KREWE_INFINITY;
        state.total[i] = 0;
    }
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
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

// Scores of one warp's 16 queries by mma.sync: [16 x 64] = queries x keys.
KREWE_DEVICE void score_tile(float (*score)[4], const uint32_t (*query)[4], const uint4* keys)
{
    int lane = threadIdx.x % WARP_LANES, matrix = lane / 8, row = lane % 8;
#pragma unroll
    for (int n = 0; n < TILE_KEYS / 8; n++)
        for (int i = 0; i < 4; i++) score[n][i] = 0;
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; k++)
    {
#pragma unroll
        for (int group = 0; group < TILE_KEYS / 16; group++)
        {
            uint32_t key[4];
            load_transposed(key, keys + key_vector(k * 16 + (matrix & 1) * 8 + row, group * 2 + (matrix >> 1)));
            multiply_tile(score[2 * group], query[k], key[0], key[1]);
            multiply_tile(score[2 * group + 1], query[k], key[2], key[3]);
        }
    }
}

// The same of 16 keys, a group of slots: score[0] has its keys 0 .. 7, score[1] 8 .. 15.
KREWE_DEVICE void score_group(float (*score)[4], const uint32_t (*query)[4], const uint4* keys, int group)
{
    int lane = threadIdx.x % WARP_LANES, matrix = lane / 8, row = lane % 8;
    for (int i = 0; i < 4; i++) score[0][i] = score[1][i] = 0;
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; k++)
    {
        uint32_t key[4];
        load_transposed(key, keys + key_vector(k * 16 + (matrix & 1) * 8 + row, group * 2 + (matrix >> 1)));
        multiply_tile(score[0], query[k], key[0], key[1]);
        multiply_tile(score[1], query[k], key[2], key[3]);
    }
}

// sum += weights x values, of one warp by mma.sync: [16 x 64] x [64 x HEAD_DIM].
KREWE_DEVICE void add_values(float (*sum)[4], const uint32_t (*weight)[4], const uint4* values)
{
    int lane = threadIdx.x % WARP_LANES, matrix = lane / 8, row = lane % 8;
#pragma unroll
    for (int k = 0; k < TILE_KEYS / 16; k++)
    {
#pragma unroll
        for (int tile = 0; tile < OUTPUT_TILES; tile += 2)
        {
            uint32_t value[4];
            load_transposed(value, values + value_vector(k * 16 + (matrix & 1) * 8 + row, tile + (matrix >> 1)));
            multiply_tile(sum[tile], weight[k], value[0], value[1]);
            multiply_tile(sum[tile + 1], weight[k], value[2], value[3]);
        }
    }
}

// A warp's scores of the tile that begins at position `first` become weights, as elements; what was summed before shrinks
// by as much as the maximum grew. A row sees positions seen_from .. seen_to.
template <int TILES>
KREWE_DEVICE void weigh_scores(
    AttendedTiles<TILES>& state, uint32_t (*weight)[4], float (*score)[4], int first, const int* seen_from, const int* seen_to,
    float scale)
{
    int t = threadIdx.x % 4, last = first + TILE_KEYS - 1;
    bool sees_all = seen_from[0] <= first && seen_from[1] <= first && last <= seen_to[0] && last <= seen_to[1];
    if (!__all_sync(ALL_LANES, sees_all))
    {
#pragma unroll
        for (int n = 0; n < TILE_KEYS / 8; n++)
        {
            for (int j = 0; j < 4; j++)
            {
                int position = first + n * 8 + 2 * t + j % 2;
                bool seen = position >= seen_from[j / 2] && position <= seen_to[j / 2];
                if (!seen) score[n][j] = -KREWE_INFINITY;
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++)
    {
        // A NaN stays: a maximum passes over it, the sum does not.
        float maximum = -KREWE_INFINITY;
#pragma unroll
        for (int n = 0; n < TILE_KEYS / 8; n++)
            maximum = fmaxf(maximum, fmaxf(score[n][2 * i], score[n][2 * i + 1]));
        maximum = fmaxf(maximum, __shfl_xor_sync(ALL_LANES, maximum, 1));
        maximum = fmaxf(maximum, __shfl_xor_sync(ALL_LANES, maximum, 2));
        float newer = fmaxf(state.maximum[i], maximum * scale);
        // Of a score that is not seen the weight is 2^-infinity: 0.
        float base = newer == -KREWE_INFINITY ? 0.0f : newer;
        float shrink = exp2_of(state.maximum[i] - base);
        float total = 0;
#pragma unroll
        for (int n = 0; n < TILE_KEYS / 8; n++)
        {
            for (int j = 2 * i; j < 2 * i + 2; j++)
            {
                score[n][j] = exp2_of(fmaf(score[n][j], scale, -base));
                total += score[n][j];
            }
        }
        total += __shfl_xor_sync(ALL_LANES, total, 1);
        total += __shfl_xor_sync(ALL_LANES, total, 2);
        state.maximum[i] = newer;
        state.total[i] = fmaf(state.total[i], shrink, total);
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
        {
            state.sum[tile][2 * i] *= shrink;
            state.sum[tile][2 * i + 1] *= shrink;
        }
    }
#pragma unroll
    for (int n = 0; n < TILE_KEYS / 8; n++)
    {
        weight[n / 2][n % 2 * 2] = pack(score[n][0], score[n][1]);
        weight[n / 2][n % 2 * 2 + 1] = pack(score[n][2], score[n][3]);
    }
}

// One warp attends with its 16 queries to the tile in shared memory that begins at position `first`.
KREWE_DEVICE void attend_tile(
    Attended& state, const uint32_t (*query)[4], const unsigned char* shared, int first, const int* seen_from,
    const int* seen_to, float scale)
{
    const uint4* keys = (const uint4*)shared;
    float score[TILE_KEYS / 8][4];
    uint32_t weight[TILE_KEYS / 16][4];
    score_tile(score, query, keys);
    weigh_scores(state, weight, score, first, seen_from, seen_to, scale);
    add_values(state.sum, weight, keys + TILE_KEYS * VALUE_VECTORS);
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
