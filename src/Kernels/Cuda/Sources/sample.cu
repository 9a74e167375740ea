// Draws one token a row from its logits, as the CPU's Sampler does: temperature, then min_p and top_k, then top_p over what
// they left; Philox4x32-10 keyed by seed, choice and position (Salmon et al. 2011). Without a filter tokens are walked in
// order of their ids, with one in order of falling logits, then ids. Weights are summed as whole multiples of 2^-45, so that
// no sum depends on an order; the CPU adds doubles one by one, so that a draw may differ where it falls within 1e-8 of a
// bound. One pass sums the weights in 2,048 bins; the token at a bound is then looked for in one bin.
// One thread block a row.
#include "krewe.cuh"

#define SAMPLE_THREADS 1024
#define SAMPLE_WARPS (SAMPLE_THREADS / WARP_LANES)
#define DIGIT_BITS 11
#define BINS (1 << DIGIT_BITS)
#define BINS_OF_WARP (BINS / SAMPLE_WARPS)
#define BINS_OF_LOGIT 64  // of each unit of a logit below the largest; the last bin has the rest

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
    bool by_id;  // the order of tokens; else by key_of
};

struct Bins
{
    uint64_t mass[BINS];
    uint32_t number[BINS];
    uint64_t warps[SAMPLE_WARPS];
    uint64_t before;  // in all bins before `bin`
    int bin;
    int candidates;                  // tokens of a bin
    uint64_t places[SAMPLE_THREADS];  // theirs; both arrays together: a histogram of digits
    uint64_t weights[SAMPLE_THREADS];
    uint64_t found;
};

KREWE_DEVICE uint64_t place_of(const Row& row, int token)
{
    return row.by_id ? (uint64_t)token : key_of(row.logits[token], token);
}

KREWE_DEVICE int tokens_of_bin(const Row& row) { return (row.vocabulary + BINS - 1) / BINS; }

KREWE_DEVICE int bin_of(const Row& row, int token)
{
    return row.by_id ? token / tokens_of_bin(row)
                     : (int)fminf((row.maximum - row.logits[token]) * BINS_OF_LOGIT, BINS - 1);
}

// Above 0, unless min_p leaves it out.
KREWE_DEVICE float weight_of(const Row& row, int token)
{
    float weight = exp_as_cpu((row.logits[token] - row.maximum) / row.temperature);
    return weight < row.min_p ? 0.0f : weight;
}

KREWE_DEVICE uint64_t mass_of(float weight) { return (uint64_t)(weight * 35184372088832.0f); }

KREWE_DEVICE uint64_t block_sum(uint64_t value, Bins& bins)
{
    for (int distance = 16; distance > 0; distance >>= 1) value += __shfl_xor_sync(ALL_LANES, value, distance);
    __syncthreads();
    if (threadIdx.x % WARP_LANES == 0) bins.warps[threadIdx.x / WARP_LANES] = value;
    __syncthreads();
    uint64_t sum = 0;
    for (int warp = 0; warp < SAMPLE_WARPS; warp++) sum += bins.warps[warp];
    return sum;
}

KREWE_DEVICE void fill_bins(const Row& row, Bins& bins)
{
    for (int bin = threadIdx.x; bin < BINS; bin += SAMPLE_THREADS)
    {
        bins.mass[bin] = 0;
        bins.number[bin] = 0;
        if (!row.by_id) continue;
        int begin = bin * tokens_of_bin(row), end = min(begin + tokens_of_bin(row), row.vocabulary);
        for (int token = begin; token < end; token++) bins.mass[bin] += mass_of(weight_of(row, token));
    }
    __syncthreads();
    for (int token = threadIdx.x; !row.by_id && token < row.vocabulary; token += SAMPLE_THREADS)
    {
        float weight = weight_of(row, token);
        if (weight <= 0.0f) continue;
        int bin = bin_of(row, token);
        atomicAdd(&bins.number[bin], 1u);
        atomicAdd(&bins.mass[bin], mass_of(weight));
    }
    __syncthreads();
}

// The bin at which the sum of `values`, with `before`, exceeds `wanted`, to bins.bin and bins.before; false when none does.
template <class T>
KREWE_DEVICE bool find_bin(const T* values, uint64_t before, uint64_t wanted, Bins& bins)
{
    int lane = threadIdx.x % WARP_LANES, warp = threadIdx.x / WARP_LANES;
    int first = warp * BINS_OF_WARP + lane * 2;
    uint64_t upper = values[first], both = upper + values[first + 1], up_to = both;
    for (int distance = 1; distance < WARP_LANES; distance *= 2)
    {
        uint64_t other = __shfl_sync(ALL_LANES, up_to, lane - distance);
        if (lane >= distance) up_to += other;
    }
    __syncthreads();
    if (lane == WARP_LANES - 1) bins.warps[warp] = up_to;
    __syncthreads();
    uint64_t all = before;
    for (int each = 0; each < SAMPLE_WARPS; each++)
    {
        if (each == warp) up_to += all;
        all += bins.warps[each];
    }
    if (up_to - both <= wanted && wanted < up_to)
    {
        bool is_second = up_to - both + upper <= wanted;
        bins.bin = first + is_second;
        bins.before = is_second ? up_to - both + upper : up_to - both;
    }
    __syncthreads();
    return wanted < all;
}

// As many tokens in one bin as hardly ever are: the place, 11 bits at a time.
KREWE_DEVICE uint64_t find_by_digits(
    const Row& row, int bin, uint64_t before, uint64_t wanted, bool counted, Bins& bins)
{
    uint64_t* digits = bins.places;
    uint64_t found = 0;
    // 32 bits of the logit, and 22 of the id.
    for (int step = row.by_id ? 3 : 0; step < 5; step++)
    {
        int shift = step == 0 ? 53 : step == 1 ? 42 : step == 2 ? 32 : step == 3 ? 11 : 0;
        uint64_t lower = ((uint64_t)1 << shift << (step == 2 ? 10 : DIGIT_BITS)) - 1;
        for (int digit = threadIdx.x; digit < BINS; digit += SAMPLE_THREADS) digits[digit] = 0;
        __syncthreads();
        for (int token = threadIdx.x; token < row.vocabulary; token += SAMPLE_THREADS)
        {
            uint64_t place = place_of(row, token);
            if (bin_of(row, token) != bin || (place & ~lower) != found) continue;
            float weight = weight_of(row, token);
            if (weight > 0.0f) atomicAdd(&digits[(place & lower) >> shift], counted ? (uint64_t)1 : mass_of(weight));
        }
        __syncthreads();
        find_bin(digits, before, wanted, bins);
        before = bins.before;
        found |= (uint64_t)bins.bin << shift;
    }
    return found;
}

struct Bound
{
    uint64_t place;  // of the last token within
    uint64_t mass;   // up to it
};

// The smallest place up to which the mass (or the number) exceeds `wanted`; all when none does.
KREWE_DEVICE Bound find(const Row& row, uint64_t wanted, bool counted, Bins& bins)
{
    Bound bound = {~(uint64_t)0, 0};
    bool there = counted ? find_bin(bins.number, 0, wanted, bins) : find_bin(bins.mass, 0, wanted, bins);
    int bin = there ? bins.bin : BINS;
    uint64_t before = bins.before, mass = 0;
    for (int each = threadIdx.x; each < bin; each += SAMPLE_THREADS) mass += bins.mass[each];
    bound.mass = block_sum(mass, bins);
    if (!there) return bound;

    if (threadIdx.x == 0) bins.candidates = 0;
    __syncthreads();
    for (int token = threadIdx.x; token < row.vocabulary; token += SAMPLE_THREADS)
    {
        if (bin_of(row, token) != bin) continue;
        float weight = weight_of(row, token);
        if (weight <= 0.0f) continue;
        int candidate = atomicAdd(&bins.candidates, 1);
        if (candidate >= SAMPLE_THREADS) continue;
        bins.places[candidate] = place_of(row, token);
        bins.weights[candidate] = mass_of(weight);
    }
    __syncthreads();
    int candidates = bins.candidates, mine = threadIdx.x;
    if (candidates > SAMPLE_THREADS)
    {
        bound.place = find_by_digits(row, bin, before, wanted, counted, bins);
        mass = 0;
        for (int token = threadIdx.x; token < row.vocabulary; token += SAMPLE_THREADS)
            if (bin_of(row, token) == bin && place_of(row, token) <= bound.place) mass += mass_of(weight_of(row, token));
        bound.mass += block_sum(mass, bins);
        return bound;
    }

    uint64_t place = mine < candidates ? bins.places[mine] : 0, up_to = before, own = 0;
    for (int each = 0; each < candidates && mine < candidates; each++)
    {
        uint64_t weight = counted ? 1 : bins.weights[each];
        if (bins.places[each] <= place) up_to += weight;
        if (each == mine) own = weight;
    }
    if (up_to - own <= wanted && wanted < up_to) bins.found = place;
    __syncthreads();
    bound.place = bins.found;
    mass = mine < candidates && place <= bound.place ? bins.weights[mine] : 0;
    bound.mass += block_sum(mass, bins);
    return bound;
}

KREWE_KERNEL(sample, SampleArguments, SAMPLE_THREADS)
{
    __shared__ Bins bins;
    __shared__ uint64_t best[SAMPLE_WARPS];
    __shared__ int broken;
    if (blockIdx.x >= args.count[0]) return;
    Row row = {args.logits + (int64_t)blockIdx.x * args.stride, args.vocabulary, 0, 0, 0, false};

    // The best token; no token where a logit is NaN or infinite, or all are negative infinity.
    if (threadIdx.x == 0) broken = 0;
    __syncthreads();
    uint64_t smallest = ~(uint64_t)0;
    bool bad = false;
    for (int token = threadIdx.x; token < args.vocabulary; token += SAMPLE_THREADS)
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
    for (int warp = 0; warp < SAMPLE_WARPS; warp++) smallest = best[warp] < smallest ? best[warp] : smallest;
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
    bool cut = draw.top_k > 0 && draw.top_k < args.vocabulary;
    row.by_id = draw.top_p >= 1.0f && draw.min_p <= 0.0f && !cut;
    fill_bins(row, bins);
    uint64_t mass = find(row, cut ? (uint64_t)draw.top_k - 1 : ~(uint64_t)0, cut, bins).mass;
    if (draw.top_p < 1.0f)
    {
        // The smallest that reaches a share is the smallest that exceeds what lies just below it.
        uint64_t share = (uint64_t)ceil((double)draw.top_p * (double)mass);
        mass = find(row, share > 0 ? share - 1 : 0, false, bins).mass;
    }
    uint64_t wanted = min((uint64_t)(uniform(draw) * (double)mass), mass - 1);
    uint64_t place = find(row, wanted, false, bins).place;
    if (threadIdx.x == 0) args.tokens[blockIdx.x] = (int)(uint32_t)place;
}
