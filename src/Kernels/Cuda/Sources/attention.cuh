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
#define KEY_VECTORS (TILE_KEYS / 8)
#define COLUMN_VECTORS (HEAD_DIM % 64 == 0 ? 8 : HEAD_DIM % 32 == 0 ? 4 : 2)
#define COLUMN_DIMS (8 * COLUMN_VECTORS)
#define GROUP_SLOTS 16  // of a tile; they lie in one block

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

// Where in shared memory vector `vector` (8 slots) of a key tile's dimension lies: a dimension's 64 slots are a row, whose
// vectors are swizzled. load_transposed meets no bank twice, and wgmma names it as a matrix of rows of 128 bytes.
KREWE_DEVICE uint32_t key_vector(uint32_t dim, uint32_t vector) { return dim * KEY_VECTORS + (vector ^ (dim & 7)); }

// The same of a value tile: columns of up to 64 dimensions, one after the other, in which a slot is a row. The swizzle is
// that of a row's width: bits 4 to 6 of an address, as far as the row goes, are changed by bits 7 to 9.
KREWE_DEVICE uint32_t value_vector(uint32_t key, uint32_t vector)
{
    uint32_t row = vector / COLUMN_VECTORS * TILE_KEYS + key;
    return row * COLUMN_VECTORS + (vector % COLUMN_VECTORS ^ key * COLUMN_VECTORS / 8 % COLUMN_VECTORS);
}

// Where the 16 slots of a group lie, and where the next ones do.
struct GroupSource
{
    const int* block;  // in the block table
    int slot;          // in the block

    KREWE_INSIDE GroupSource(const AttentionArguments& args, const int* table, int position)
        : block(table + (uint32_t)position / args.block_tokens), slot((uint32_t)position % args.block_tokens)
    {
    }

    // Numbers before the block's first one in a layer.
    KREWE_INSIDE int64_t start(const AttentionArguments& args) const { return *block * args.block_stride; }

    KREWE_INSIDE void advance(const AttentionArguments& args)
    {
        slot += GROUP_SLOTS;
        if (slot < args.block_tokens) return;
        slot = 0;
        block++;
    }
};

// Dimensions in an order in which eight lanes that write two vectors of four dimensions each meet no bank twice.
KREWE_DEVICE uint32_t spread(uint32_t dim) { return (dim & ~7u) | (dim & 3) << 1 | (dim >> 2 & 1); }

// Which vectors of a group of 16 slots a thread copies, pass by pass: of keys one half of a dimension, of values one vector of
// a slot. What passes have in common is the same expression, so that it is computed once.
template <int THREADS>
struct CopyOfThread
{
    enum : int
    {
        KeyCopies = 2 * HEAD_DIM,
        ValueCopies = GROUP_SLOTS * VALUE_VECTORS,
        KeyPasses = (KeyCopies + THREADS - 1) / THREADS,
        ValuePasses = (ValueCopies + THREADS - 1) / THREADS
    };

    uint32_t thread, half;

    KREWE_INSIDE explicit CopyOfThread(int thread) : thread(thread), half(this->thread % 2) {}

    KREWE_INSIDE bool has_key(int pass) const { return KeyCopies % THREADS == 0 || pass * THREADS + thread < KeyCopies; }

    KREWE_INSIDE uint32_t dim(int pass) const { return spread(thread / 2) + pass * (THREADS / 2); }

    KREWE_INSIDE bool has_value(int pass) const
    {
        return ValueCopies % THREADS == 0 || pass * THREADS + thread < ValueCopies;
    }

    KREWE_INSIDE uint32_t key(int pass) const
    {
        return THREADS % VALUE_VECTORS == 0
            ? thread / VALUE_VECTORS + pass * (THREADS / VALUE_VECTORS) : (pass * THREADS + thread) / VALUE_VECTORS;
    }

    KREWE_INSIDE uint32_t vector(int pass) const { return (pass * THREADS + thread) % VALUE_VECTORS; }
};

#if KV_INT8
// Starts the copies of the stage of the tile that begins at position `first`: codes of keys as [group of 16 slots][HEAD_DIM],
// of values as [slot][HEAD_DIM], scales of keys and of values. What lies from `end` on is left out.
template <int THREADS>
KREWE_DEVICE void load_tile(
    const AttentionArguments& args, unsigned char* shared, const int* table, int kv_head, int first, int end, int thread)
{
    const int Groups = TILE_KEYS / GROUP_SLOTS, Scales = GROUP_SLOTS / 4;
    uint4* stage = (uint4*)shared;
    thread = anew(thread);
    GroupSource source(args, table, first);
    for (int group = 0; group < Groups; group++, source.advance(args))
    {
        int position = first + group * GROUP_SLOTS;
        if (position >= end) break;
        const kv_number* keys = args.keys + source.start(args) + kv_head_start(kv_head, args.block_tokens);
        const kv_number* values = args.values + source.start(args) + kv_head_start(kv_head, args.block_tokens);
        uint4* key_target = stage + group * HEAD_DIM;
        uint4* value_target = key_target + Groups * HEAD_DIM;
        uint4* scale_target = stage + 2 * Groups * HEAD_DIM + group * Scales;
        for (int dim = thread; dim < HEAD_DIM; dim += THREADS)
            copy_async_16(key_target + dim, keys + dim * args.block_tokens + source.slot);
        for (int i = thread; i < HEAD_DIM; i += THREADS)
        {
            if (position + i / (HEAD_DIM / 16) < end)
                copy_async_16(value_target + i, values + source.slot * HEAD_DIM + i * 16);
        }
        for (int i = thread; i < 2 * Scales; i += THREADS)
        {
            int vector = i % Scales;
            if (position + vector * 4 >= end) continue;
            copy_async_16(
                scale_target + i / Scales * (TILE_KEYS / 4) + vector, (i < Scales ? keys : values)
                    + HEAD_DIM * args.block_tokens + source.slot * 4 + vector * 16);
        }
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
template <int THREADS>
KREWE_DEVICE void expand_tile(unsigned char* shared, int stage, int first, int end, int thread)
{
    thread = anew(thread);
    const int8_t* key_codes = (const int8_t*)(shared + stage * STAGE_BYTES);
    const int8_t* value_codes = key_codes + TILE_KEYS * HEAD_DIM;
    const float* key_scales = (const float*)(value_codes + TILE_KEYS * HEAD_DIM);
    const float* value_scales = key_scales + TILE_KEYS;
    uint4 zero = {0, 0, 0, 0};
    uint4* keys = (uint4*)TILE_OF(shared, stage);
    uint4* values = keys + TILE_KEYS * VALUE_VECTORS;
    for (int i = thread; i < TILE_KEYS * VALUE_VECTORS; i += THREADS)
    {
        int half = i % 2, dim = spread(i / 2 % HEAD_DIM), group = i / 2 / HEAD_DIM;
        int slot = group * GROUP_SLOTS + half * 8;
        store_shared_16(keys + key_vector(dim, group * 2 + half), first + slot >= end
            ? zero
            : expand_codes(key_codes + (group * HEAD_DIM + dim) * GROUP_SLOTS + half * 8, key_scales + slot, 1));
    }
    for (int i = thread; i < TILE_KEYS * VALUE_VECTORS; i += THREADS)
    {
        int vector = i % VALUE_VECTORS, key = i / VALUE_VECTORS;
        store_shared_16(values + value_vector(key, vector), first + key >= end
            ? zero : expand_codes(value_codes + key * HEAD_DIM + vector * 8, value_scales + key, 0));
    }
}
#else
// Starts the copies of the tile that begins at position `first`; positions from `end` on become zeros, because what is in
// their slots may be no number, and 0 x NaN is NaN. THREADS threads take part, this one is number `thread`.
template <int THREADS>
KREWE_DEVICE void load_tile(
    const AttentionArguments& args, unsigned char* shared, const int* table, int kv_head, int first, int end, int thread)
{
    uint4 zero = {0, 0, 0, 0};
    uint4* keys = (uint4*)shared;
    uint4* values = keys + TILE_KEYS * VALUE_VECTORS;
    GroupSource source(args, table, first);
    // Sums need the registers that addresses would stay in from tile to tile.
    CopyOfThread<THREADS> mine(anew(thread));
    const kv_number* from_keys = args.keys + kv_head_start(kv_head, args.block_tokens) + mine.half * 8;
    const kv_number* from_values = args.values + kv_head_start(kv_head, args.block_tokens);
    if (first + TILE_KEYS <= end)
    {
        const int Together = THREADS > 128 ? 4 : 1;
#pragma unroll Together
        for (int group = 0; group < TILE_KEYS / GROUP_SLOTS; group++, source.advance(args))
        {
            int64_t start = source.start(args);
#pragma unroll
            for (int pass = 0; pass < mine.KeyPasses; pass++)
            {
                if (!mine.has_key(pass)) break;
                copy_async_16(
                    keys + key_vector(mine.dim(pass), group * 2 + mine.half),
                    from_keys + mine.dim(pass) * args.block_tokens + (start + source.slot));
            }
#pragma unroll
            for (int pass = 0; pass < mine.ValuePasses; pass++)
            {
                if (!mine.has_value(pass)) break;
                copy_async_16(
                    values + value_vector(group * GROUP_SLOTS + mine.key(pass), mine.vector(pass)),
                    from_values + mine.key(pass) * HEAD_DIM + mine.vector(pass) * 8 + (start + source.slot * HEAD_DIM));
            }
        }
        copy_async_commit();
        return;
    }
#pragma unroll 1
    for (int group = 0; group < TILE_KEYS / GROUP_SLOTS; group++, source.advance(args))
    {
        int position = first + group * GROUP_SLOTS;
        int64_t start = position < end ? source.start(args) : 0;
#pragma unroll 1
        for (int pass = 0; pass < mine.KeyPasses && mine.has_key(pass); pass++)
        {
            uint4* target = keys + key_vector(mine.dim(pass), group * 2 + mine.half);
            if (position + (int)mine.half * 8 >= end) store_shared_16(target, zero);
            else copy_async_16(target, from_keys + mine.dim(pass) * args.block_tokens + (start + source.slot));
        }
#pragma unroll 1
        for (int pass = 0; pass < mine.ValuePasses && mine.has_value(pass); pass++)
        {
            int key = mine.key(pass), vector = mine.vector(pass);
            uint4* target = values + value_vector(group * GROUP_SLOTS + key, vector);
            if (position + key >= end) store_shared_16(target, zero);
            else copy_async_16(target, from_values + key * HEAD_DIM + vector * 8 + (start + source.slot * HEAD_DIM));
        }
    }
    copy_async_commit();
}

// Elements arrive as the tile itself.
template <int THREADS>
KREWE_DEVICE void expand_tile(unsigned char*, int, int, int, int)
{
}
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
KREWE_DEVICE void weigh_scores(
    Attended& state, uint32_t (*weight)[4], float (*score)[4], int first, const int* seen_from, const int* seen_to,
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
        for (int tile = 0; tile < OUTPUT_TILES; tile++)
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
