// Draws one token a row from its logits, as the CPU's Sampler does: temperature, then min_p and top_k, then top_p over what
// they left; Philox4x32-10 keyed by seed, choice and position (Salmon et al. 2011). Without a filter tokens are walked in
// order of their ids, with one in order of falling logits, then ids. Sums of weights are doubles in an order that the
// vocabulary alone decides; the CPU adds them one by one, so that a draw may differ where it falls within 1e-12 of a bound.
// One thread block a row.
#include "krewe.cuh"

#define SAMPLE_THREADS 1024

struct SampleDraw
{
    float temperature;  // 0: the largest logit, the lowest id among equals
    float top_p;        // 1: off
    float min_p;        // 0: off
    int top_k;          // 0: off
    uint32_t seed_low;
    uint32_t seed_high;
    int choice;
    int position;
};

struct SampleArguments
{
    const float* logits;      // [rows x stride]
    const SampleDraw* draws;  // [rows]
    int* tokens;              // [rows]; -1: no token can be drawn from these logits
    const int* count;         // rows
    int vocabulary;
    int stride;
};

// e^x as the CPU computes it (LaneMath.Exp, polynomial of Cephes' expf).
KREWE_DEVICE float exp_as_cpu(float x)
{
    float shifted = fmaf(x, 1.44269504f, 12582912.0f);
    float n = shifted - 12582912.0f;
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p, r * r, r);
    p = (p + 1.0f) * __int_as_float(((int)n + 127) << 23);
    return x < -87.33654f ? 0.0f : 88.37626f < x ? KREWE_INFINITY : p;
}

KREWE_DEVICE double uniform(const SampleDraw& draw)
{
    uint32_t c0 = (uint32_t)draw.position, c1 = (uint32_t)draw.choice, c2 = 0, c3 = 0;
    uint32_t k0 = draw.seed_low, k1 = draw.seed_high;
    for (int round = 0; round < 10; round++)
    {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0;
        c1 = (uint32_t)p1;
        c2 = n2;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (double)((((uint64_t)c0 << 32) | c1) >> 11) * (1.0 / 9007199254740992.0);
}

// Ascending keys are descending logits, then ascending ids.
KREWE_DEVICE uint64_t key_of(float logit, int token)
{
    uint32_t bits = __float_as_uint(logit + 0.0f);
    uint32_t descending = bits & 0x80000000u ? bits : 0x7fffffffu - bits;
    return ((uint64_t)descending << 32) | (uint32_t)token;
}

struct Row
{
    const float* logits;
    int vocabulary;
    float maximum;
    float temperature;
    float min_p;
};

// 0 for what min_p leaves out.
KREWE_DEVICE float weight_of(const Row& row, int token)
{
    float weight = exp_as_cpu((row.logits[token] - row.maximum) / row.temperature);
    return weight >= row.min_p ? weight : 0.0f;
}

KREWE_DEVICE double block_sum(double value, double* scratch)
{
    for (int distance = 16; distance > 0; distance >>= 1) value += __shfl_xor_sync(ALL_LANES, value, distance);
    __syncthreads();
    if (threadIdx.x % WARP_LANES == 0) scratch[threadIdx.x / WARP_LANES] = value;
    __syncthreads();
    double sum = 0;
    for (int warp = 0; warp < blockDim.x / WARP_LANES; warp++) sum += scratch[warp];
    return sum;
}

// Sum of the weights (or their number) of tokens whose key is at most `key`.
KREWE_DEVICE double mass_up_to(const Row& row, uint64_t key, bool counted, double* scratch)
{
    double mass = 0;
    for (int token = threadIdx.x; token < row.vocabulary; token += blockDim.x)
    {
        if (key_of(row.logits[token], token) > key) continue;
        float weight = weight_of(row, token);
        mass += counted ? (weight > 0 ? 1.0 : 0.0) : (double)weight;
    }
    return block_sum(mass, scratch);
}

// The smallest key from lowest to highest up to which the mass exceeds (or reaches) `wanted`; highest when none does.
KREWE_DEVICE uint64_t find_key(
    const Row& row, uint64_t lowest, uint64_t highest, double wanted, bool reaches, bool counted, double* scratch)
{
    while (lowest < highest)
    {
        uint64_t middle = lowest + (highest - lowest) / 2;
        double mass = mass_up_to(row, middle, counted, scratch);
        if (reaches ? mass >= wanted : mass > wanted) highest = middle;
        else lowest = middle + 1;
    }
    return lowest;
}

KREWE_KERNEL(sample, SampleArguments, SAMPLE_THREADS)
{
    __shared__ double scratch[SAMPLE_THREADS / WARP_LANES];
    __shared__ uint64_t best[SAMPLE_THREADS / WARP_LANES];
    __shared__ int broken;
    __shared__ double segments[SAMPLE_THREADS];
    if (blockIdx.x >= args.count[0]) return;
    Row row = {args.logits + (int64_t)blockIdx.x * args.stride, args.vocabulary, 0, 0, 0};

    // The best token; no token where a logit is NaN or infinite, or all are negative infinity.
    if (threadIdx.x == 0) broken = 0;
    __syncthreads();
    uint64_t smallest = ~(uint64_t)0;
    bool bad = false;
    for (int token = threadIdx.x; token < args.vocabulary; token += blockDim.x)
    {
        float logit = row.logits[token];
        bad |= logit != logit || logit == KREWE_INFINITY;
        uint64_t key = key_of(logit, token);
        smallest = key < smallest ? key : smallest;
    }
    for (int distance = 16; distance > 0; distance >>= 1)
    {
        uint64_t other = __shfl_xor_sync(ALL_LANES, smallest, distance);
        smallest = other < smallest ? other : smallest;
    }
    if (threadIdx.x % WARP_LANES == 0) best[threadIdx.x / WARP_LANES] = smallest;
    if (bad) atomicExch(&broken, 1);
    __syncthreads();
    for (int warp = 0; warp < blockDim.x / WARP_LANES; warp++) smallest = best[warp] < smallest ? best[warp] : smallest;
    int greedy = (int)(uint32_t)smallest;
    SampleDraw draw = args.draws[blockIdx.x];
    row.maximum = row.logits[greedy];
    if (broken || row.maximum == -KREWE_INFINITY || draw.temperature == 0)
    {
        if (threadIdx.x == 0)
            args.tokens[blockIdx.x] = broken || row.maximum == -KREWE_INFINITY ? -1 : greedy;
        return;
    }

    row.temperature = draw.temperature;
    row.min_p = draw.min_p;
    double number = uniform(draw);
    bool filtered = draw.top_p < 1.0f || draw.min_p > 0.0f || (draw.top_k > 0 && draw.top_k < args.vocabulary);
    if (filtered)
    {
        const uint64_t all = ~(uint64_t)0;
        uint64_t last = all;
        if (draw.top_k > 0 && draw.top_k < args.vocabulary)
            last = find_key(row, smallest, all, (double)draw.top_k, true, true, scratch);
        double mass = mass_up_to(row, last, false, scratch);
        if (draw.top_p < 1.0f)
        {
            last = find_key(row, smallest, last, (double)draw.top_p * mass, true, false, scratch);
            mass = mass_up_to(row, last, false, scratch);
        }
        uint64_t key = find_key(row, smallest, last, number * mass, false, false, scratch);
        if (threadIdx.x == 0) args.tokens[blockIdx.x] = (int)(uint32_t)key;
        return;
    }

    // In order of ids: each thread has a segment; one walks the segments, one walks inside.
    int length = (args.vocabulary + blockDim.x - 1) / blockDim.x;
    int begin = min((int)threadIdx.x * length, args.vocabulary), end = min(begin + length, args.vocabulary);
    double mine = 0;
    for (int token = begin; token < end; token++) mine += (double)weight_of(row, token);
    segments[threadIdx.x] = mine;
    __syncthreads();
    if (threadIdx.x != 0) return;
    double total = 0;
    for (int segment = 0; segment < blockDim.x; segment++) total += segments[segment];
    double remaining = number * total;
    int segment = 0, chosen = greedy;
    while (segment < blockDim.x - 1 && remaining - segments[segment] >= 0) remaining -= segments[segment++];
    for (int token = segment * length; token < args.vocabulary; token++)
    {
        double weight = (double)weight_of(row, token);
        if (weight == 0) continue;
        remaining -= weight;
        chosen = token;
        if (remaining < 0) break;
    }
    args.tokens[blockIdx.x] = chosen;
}
