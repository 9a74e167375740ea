// Dense products output = input x weights^T: the arithmetic that linear.cu and linear_int8.cu share.
//
// Order of a sum, whatever the schedule and the number of rows: K is cut into chunks of chunk_inputs; inside a chunk
// groups of 32 inputs ascend, two multiply_tile each, where lane t of a quad holds inputs 8t .. 8t + 7 of the group (the
// same permutation on both sides, so that a lane loads 16 bytes at once); chunks are added in order. linear_rows_* leave
// the chunks side by side for their reader's fold; linear_tiled folds them itself.
//
// Weights are the 16-row operand: a decode step of one row wastes 7 of 8 columns of a tile, not 15 of 16 rows.
#pragma once
#include "krewe.cuh"

struct LinearArguments
{
    const void* weights;    // [outputs x inputs] elements, or int8
    const float* scales;    // [outputs]; int8 only
    const element* input;   // [rows x input_stride], 16-byte aligned rows
    float* output;          // linear_rows: [chunks][rows x output_stride]; linear_tiled: [rows x output_stride]
    int64_t chunk_stride;   // floats from chunk to chunk of the output
    const int* count;       // rows
    int outputs;
    int inputs;             // a multiple of 32; what was added to a model's width is zero on both sides
    int input_stride;
    int output_stride;
    int chunk_inputs;       // a multiple of 32
    int padding;
};

#define LINEAR_GROUP 32

KREWE_DEVICE uint32_t pack_codes(uint32_t codes, int first)
{
    int8_t low = (int8_t)(codes >> (8 * first)), high = (int8_t)(codes >> (8 * first + 8));
    return pack((float)low, (float)high);
}

// Eight neighbouring weights as they lie in memory; as elements: whole numbers up to 127 are exact in both formats.
template <bool INT8>
struct Weights8 { uint4 bits; };
template <>
struct Weights8<true> { uint2 bits; };

KREWE_DEVICE uint4 to_elements(const Weights8<false>& weights) { return weights.bits; }

KREWE_DEVICE uint4 to_elements(const Weights8<true>& weights)
{
    uint4 words;
    words.x = pack_codes(weights.bits.x, 0);
    words.y = pack_codes(weights.bits.x, 2);
    words.z = pack_codes(weights.bits.y, 0);
    words.w = pack_codes(weights.bits.y, 2);
    return words;
}

template <bool INT8>
KREWE_DEVICE uint4 load_weights(const void* at) { return to_elements(*(const Weights8<INT8>*)at); }

// The group of 32 inputs whose weights are r (row g) and s (row g + 8), and inputs x.
KREWE_DEVICE void multiply_group(float* sum, const uint4& r, const uint4& s, const uint4& x)
{
    uint32_t lower[4] = {r.x, s.x, r.y, s.y};
    uint32_t upper[4] = {r.z, s.z, r.w, s.w};
    multiply_tile(sum, lower, x.x, x.y);
    multiply_tile(sum, upper, x.z, x.w);
}

// Few rows: a warp streams WEIGHT_TILES x 16 outputs of one chunk once, straight into registers. Grid: 64 x WEIGHT_TILES
// outputs, chunks.
//
// What a step of few rows waits for is the memory, and what keeps it busy is how much is under way: while AHEAD groups of
// weights are multiplied the next AHEAD are on their way. An H100 needs about 20 KB under way on each multiprocessor; 8 warps
// with 4 KB each are 32. Four thread blocks fit a multiprocessor, so that all of a large matrix run at once and none is a tail.
// With 64 rows a warp has two tiles of outputs, or inputs, which all warps read again, would be four times the weights.
template <int ROW_TILES, int WEIGHT_TILES, int AHEAD, bool INT8>
struct LinearRows
{
    const char* weights[WEIGHT_TILES][2];
    const element* inputs[ROW_TILES];
    float sum[WEIGHT_TILES][ROW_TILES][4];
    int end;

    struct Ahead { Weights8<INT8> of[AHEAD][WEIGHT_TILES][2]; };

    __device__ void load(Ahead& ahead, int k) const
    {
#pragma unroll
        for (int i = 0; i < AHEAD; i++)
        {
            int at = k + i * LINEAR_GROUP;
            if (at >= end) continue;
#pragma unroll
            for (int m = 0; m < WEIGHT_TILES; m++)
            {
                ahead.of[i][m][0] = *(const Weights8<INT8>*)(weights[m][0] + (int64_t)at * (INT8 ? 1 : 2));
                ahead.of[i][m][1] = *(const Weights8<INT8>*)(weights[m][1] + (int64_t)at * (INT8 ? 1 : 2));
            }
        }
    }

    __device__ void multiply(const Ahead& ahead, int k)
    {
#pragma unroll
        for (int i = 0; i < AHEAD; i++)
        {
            int at = k + i * LINEAR_GROUP;
            if (at >= end) continue;
            uint4 of[WEIGHT_TILES][2];
#pragma unroll
            for (int m = 0; m < WEIGHT_TILES; m++)
            {
                of[m][0] = to_elements(ahead.of[i][m][0]);
                of[m][1] = to_elements(ahead.of[i][m][1]);
            }
#pragma unroll
            for (int n = 0; n < ROW_TILES; n++)
            {
                uint4 x = *(const uint4*)(inputs[n] + at);
#pragma unroll
                for (int m = 0; m < WEIGHT_TILES; m++) multiply_group(sum[m][n], of[m][0], of[m][1], x);
            }
        }
    }
};

template <int ROW_TILES, int WEIGHT_TILES, int AHEAD, bool INT8>
KREWE_DEVICE void linear_rows(const LinearArguments& args)
{
    const int step = AHEAD * LINEAR_GROUP;
    int lane = threadIdx.x % WARP_LANES, g = lane / 4, t = lane % 4;
    int first = (blockIdx.x * 4 + threadIdx.x / WARP_LANES) * 16 * WEIGHT_TILES;

    LinearRows<ROW_TILES, WEIGHT_TILES, AHEAD, INT8> it;
    // Outputs and rows behind the last are computed from the last one's numbers and dropped.
    for (int i = 0; i < WEIGHT_TILES * 2; i++)
    {
        int64_t output = min(first + i * 8 + g, args.outputs - 1);
        it.weights[i / 2][i % 2] = (const char*)args.weights + (output * args.inputs + 8 * t) * (INT8 ? 1 : 2);
    }
    int k = blockIdx.y * args.chunk_inputs;
    it.end = min(k + args.chunk_inputs, args.inputs);
    typename LinearRows<ROW_TILES, WEIGHT_TILES, AHEAD, INT8>::Ahead even, odd;
    it.load(even, k);

    // Up to here nothing but weights was read.
    wait_for_grid_before();
    int rows = args.count[0];
    if (rows < 1 || first >= args.outputs) return;
    for (int n = 0; n < ROW_TILES; n++)
    {
        it.inputs[n] = args.input + (int64_t)min(n * 8 + g, rows - 1) * args.input_stride + 8 * t;
        for (int i = 0; i < WEIGHT_TILES * 4; i++) it.sum[i / 4][n][i % 4] = 0;
    }

    for (; k < it.end; k += 2 * step)
    {
        it.load(odd, k + step);
        it.multiply(even, k);
        it.load(even, k + 2 * step);
        it.multiply(odd, k + step);
    }

    float* output = args.output + blockIdx.y * args.chunk_stride;
#pragma unroll
    for (int m = 0; m < WEIGHT_TILES; m++)
    {
#pragma unroll
        for (int n = 0; n < ROW_TILES; n++)
        {
            for (int i = 0; i < 4; i++)
            {
                int of = first + m * 16 + g + (i >= 2 ? 8 : 0), row = n * 8 + 2 * t + (i & 1);
                if (of >= args.outputs || row >= rows) continue;
                float sum = it.sum[m][n][i];
                output[(int64_t)row * args.output_stride + of] = INT8 ? sum * args.scales[of] : sum;
            }
        }
    }
}

#define TILE_OUTPUTS 128
#define TILE_ROWS 128
#define TILE_STAGES 3
#define TILE_STAGE_BYTES ((TILE_OUTPUTS + TILE_ROWS) * LINEAR_GROUP * 2)

// Starts the copies of one group of inputs for a tile: weights [TILE_OUTPUTS x 32], then inputs [TILE_ROWS x 32].
template <bool INT8>
KREWE_DEVICE void load_group(const LinearArguments& args, char* stage, int first_output, int first_row, int rows, int k)
{
    const int weight_bytes = INT8 ? 1 : 2;
    const int vectors_a_row = LINEAR_GROUP * weight_bytes / 16;
    if (k < args.inputs)
    {
        for (int i = threadIdx.x; i < TILE_OUTPUTS * vectors_a_row; i += blockDim.x)
        {
            int64_t output = min(first_output + i / vectors_a_row, args.outputs - 1);
            copy_async_16(
                stage + i * 16,
                (const char*)args.weights + (output * args.inputs + k) * weight_bytes + i % vectors_a_row * 16);
        }
        for (int i = threadIdx.x; i < TILE_ROWS * 4; i += blockDim.x)
        {
            int64_t row = min(first_row + i / 4, rows - 1);
            copy_async_16(
                stage + TILE_OUTPUTS * LINEAR_GROUP * 2 + i * 16, args.input + row * args.input_stride + k + i % 4 * 8);
        }
    }
    // An empty group too: the wait counts groups.
    copy_async_commit();
}

// Many rows: 8 warps compute 128 outputs x 128 rows, 64 x 32 each, from shared memory. Grid: outputs, rows.
template <bool INT8, bool CHUNKED>
KREWE_DEVICE void linear_tiled(const LinearArguments& args, char* shared)
{
    const int weight_bytes = INT8 ? 1 : 2;
    int lane = threadIdx.x % WARP_LANES, warp = threadIdx.x / WARP_LANES, g = lane / 4, t = lane % 4;
    int rows = args.count[0];
    int first_row = blockIdx.y * TILE_ROWS, first_output = blockIdx.x * TILE_OUTPUTS;
    if (first_row >= rows) return;
    int warp_output = warp / 4 * 64, warp_row = warp % 4 * 32;

    float sum[4][4][4], total[CHUNKED ? 4 : 1][4][4];
    for (int i = 0; i < 64; i++) sum[i / 16][i / 4 % 4][i % 4] = 0;
    bool folded = false;
    for (int stage = 0; stage < TILE_STAGES - 1; stage++)
        load_group<INT8>(args, shared + stage * TILE_STAGE_BYTES, first_output, first_row, rows, stage * LINEAR_GROUP);

    int stage = 0;
    for (int k = 0; k < args.inputs; k += LINEAR_GROUP)
    {
        copy_async_wait<TILE_STAGES - 2>();
        // Everybody's copies have arrived, and everybody has left the stage that is filled next.
        __syncthreads();
        int ahead = (stage + TILE_STAGES - 1) % TILE_STAGES;
        load_group<INT8>(args, shared + ahead * TILE_STAGE_BYTES, first_output, first_row, rows,
                         k + (TILE_STAGES - 1) * LINEAR_GROUP);
        const char* weights = shared + stage * TILE_STAGE_BYTES;
        const char* inputs = weights + TILE_OUTPUTS * LINEAR_GROUP * 2;
        uint4 x[4];
#pragma unroll
        for (int n = 0; n < 4; n++) x[n] = *(const uint4*)(inputs + (warp_row + n * 8 + g) * LINEAR_GROUP * 2 + t * 16);
#pragma unroll
        for (int m = 0; m < 4; m++)
        {
            const char* r = weights + ((warp_output + m * 16 + g) * LINEAR_GROUP + 8 * t) * weight_bytes;
            uint4 of_r = load_weights<INT8>(r);
            uint4 of_s = load_weights<INT8>(r + 8 * LINEAR_GROUP * weight_bytes);
#pragma unroll
            for (int n = 0; n < 4; n++) multiply_group(sum[m][n], of_r, of_s, x[n]);
        }

        stage = (stage + 1) % TILE_STAGES;
        if (!CHUNKED || (k + LINEAR_GROUP < args.inputs && (k + LINEAR_GROUP) % args.chunk_inputs != 0)) continue;
#pragma unroll
        for (int i = 0; i < 64; i++)
        {
            int m = i / 16, n = i / 4 % 4;
            float chunk = sum[m][n][i % 4];
            if (INT8)
                chunk *= args.scales[min(first_output + warp_output + m * 16 + g + (i % 4 >= 2 ? 8 : 0), args.outputs - 1)];
            float& to = total[CHUNKED ? m : 0][n][i % 4];
            to = folded ? to + chunk : chunk;
            sum[m][n][i % 4] = 0;
        }
        folded = true;
    }

#pragma unroll
    for (int i = 0; i < 64; i++)
    {
        int m = i / 16, n = i / 4 % 4;
        int of = first_output + warp_output + m * 16 + g + (i % 4 >= 2 ? 8 : 0);
        int row = first_row + warp_row + n * 8 + 2 * t + (i & 1);
        if (of >= args.outputs || row >= rows) continue;
        float value = CHUNKED ? total[CHUNKED ? m : 0][n][i % 4] : sum[m][n][i % 4];
        if (INT8 && !CHUNKED) value *= args.scales[of];
        args.output[(int64_t)row * args.output_stride + of] = value;
    }
}
