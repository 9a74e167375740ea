// Tiles of 64 keys and values in shared memory: how they lie there, and their way out of KV blocks. Two stages follow each
// other: one is attended to while the next arrives.
#pragma once
#include "kv.cuh"

#define TILE_KEYS 64
#define TILE_BYTES (2 * TILE_KEYS * HEAD_DIM * 2)
#if KV_INT8
// Codes and scales arrive in one of two stages; whoever attends has them expanded to elements in the tile behind both.
#define STAGE_BYTES (2 * TILE_KEYS * KV_VECTOR_NUMBERS)
#define TILE_OF(shared, stage) ((shared) + 2 * STAGE_BYTES)
#else
#define STAGE_BYTES TILE_BYTES
#define TILE_OF(shared, stage) ((shared) + (stage) * STAGE_BYTES)
#endif
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
