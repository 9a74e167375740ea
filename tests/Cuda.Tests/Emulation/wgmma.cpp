// wgmma.mma_async as the PTX ISA describes it ("Asynchronous Warpgroup Level Matrix Instructions"), for simt.cpp.
//
// Proxies: wgmma reads a second copy of shared memory. A line of 16 bytes gets there when the thread that wrote it fences,
// and counts as arrived behind the next barrier. A line that differs from the first copy when wgmma reads it was not fenced.
//
// Time: a product reads shared memory and a at its issue (odd order) or only when it is waited for (even order); from its
// issue to its wait the accumulators in the thread's memory are NaNs, and whoever writes there is caught at the wait.
#include "fibers.h"
#include "simt.h"

#include <stdio.h>

#include <algorithm>
#include <vector>

namespace simt
{
namespace
{
const int LineBytes = 16;
const int GroupThreads = 128;
const int Inner = 16;
const int ColumnsMax = 256;
// Where dynamic shared memory begins; the driver keeps the first kilobyte.
const uint32_t FirstAddress = 1024;
const uint32_t Poison = 0xffffffffu;
// In the order of fibers: as a GPU whose sums come out otherwise.
const int OtherSums = 1 << 30;

struct Product
{
    float* d;
    int columns;
    const uint32_t* a;
    uint32_t a_at_issue[4];
    uint64_t b;
    bool transposed;
    float (*convert)(uint16_t);
    int group;
};

struct Accumulators
{
    float* at;
    int count;
    std::vector<float> values;
};

struct Registers { const void* at; std::vector<uint32_t> values; };

struct Lane
{
    std::vector<Product> products;
    std::vector<Accumulators> under_way;
    // Registers that earlier products used, as they were at the last fence.
    std::vector<Registers> known;
    std::vector<int> unfenced;
    int groups = 0;
    bool fenced = false;
};

struct Matrix { float at[Inner][ColumnsMax]; };

struct Warpgroup
{
    Meeting meeting;
    // Of products under way, those whose b was read at the issue.
    std::vector<Matrix> early;
};

struct Line { int fenced_at = -1; };

std::vector<unsigned char> proxy;
std::vector<Line> lines;
std::vector<Lane> lanes;
std::vector<Warpgroup> groups;
bool early, other_sums;

Lane& mine() { return lanes[current->linear]; }

Warpgroup& my_group() { return groups[current->linear / GroupThreads]; }

bool is_poison(const float* values, int count)
{
    for (int i = 0; i < count; i++)
        if (memcmp(values + i, &Poison, 4)) return false;
    return true;
}

// One line as wgmma sees it.
const uint16_t* read_line(uint32_t address)
{
    int64_t offset = (int64_t)address - FirstAddress;
    if (offset < 0 || offset + LineBytes > (int64_t)proxy.size())
        fail("wgmma reads outside of dynamic shared memory");
    const Line& line = lines[offset / LineBytes];
    if (memcmp(&proxy[offset], dynamic_shared + offset, LineBytes))
        fail("wgmma reads shared memory that its writer has not fenced (fence.proxy.async)");
    if (line.fenced_at >= barriers_passed())
        fail("wgmma reads shared memory with no barrier behind its writer's fence");
    return (const uint16_t*)&proxy[offset];
}

// b, [16 x columns] with N contiguous, by the bits of its descriptor: canonical layouts of "MN-major", lines of eight elements.
void read_matrix(Matrix& matrix, const Product& product)
{
    uint32_t start = (uint32_t)(product.b & 0x3fff) << 4;
    uint32_t leading = (uint32_t)(product.b >> 16 & 0x3fff) << 4, stride = (uint32_t)(product.b >> 32 & 0x3fff) << 4;
    int base_offset = (int)(product.b >> 49 & 7), mode = (int)(product.b >> 62);
    if (!product.transposed) fail("wgmma: b with K contiguous is not emulated");
    if (base_offset) fail("wgmma: base offsets are not emulated");
    // Lines of a row of the atom: 128, 64, 32 bytes, or none swizzled.
    int width = mode == 1 ? 8 : mode == 2 ? 4 : mode == 3 ? 2 : 1;
    if (start % (8 * width * LineBytes)) fail("wgmma: a matrix does not begin at a whole atom of its swizzle");
    for (int k = 0; k < Inner; k++)
    {
        for (int n = 0; n < product.columns / 8; n++)
        {
            uint32_t address = start + k % 8 * width * LineBytes + n % width * LineBytes;
            address += width == 1 ? n * stride + k / 8 * leading : n / width * leading + k / 8 * stride;
            address ^= (address >> 7 & (width - 1)) << 4;
            const uint16_t* line = read_line(address);
            for (int i = 0; i < 8; i++) matrix.at[k][n * 8 + i] = product.convert(line[i]);
        }
    }
}

Accumulators* find(Lane& lane, const float* at)
{
    for (Accumulators& each : lane.under_way)
        if (each.at == at) return &each;
    return 0;
}

void multiply(int group, size_t number, const Matrix& b)
{
    static float a[64][Inner], d[64][ColumnsMax];
    int columns = lanes[group * GroupThreads].products[number].columns;
    for (int pass = 0; pass < 2; pass++)
    {
        for (int thread = 0; thread < GroupThreads; thread++)
        {
            Lane& lane = lanes[group * GroupThreads + thread];
            const Product& product = lane.products[number];
            const uint32_t* part = early ? product.a_at_issue : product.a;
            float* values = find(lane, product.d)->values.data();
            int row = thread / 32 * 16 + thread % 32 / 4, t = thread % 4;
            for (int i = 0; i < 4 && pass == 0; i++)
            {
                a[row + i % 2 * 8][i / 2 * 8 + 2 * t] = product.convert((uint16_t)part[i]);
                a[row + i % 2 * 8][i / 2 * 8 + 2 * t + 1] = product.convert((uint16_t)(part[i] >> 16));
            }
            for (int i = 0; i < columns / 2; i++)
            {
                float& there = d[row + i / 2 % 2 * 8][i / 4 * 8 + 2 * t + i % 2];
                if (pass == 0) there = values[i];
                else values[i] = there;
            }
        }
        if (pass == 1) break;
        // The same chain as multiply_tile's, so that the same bits come out; or sums of 16 products that are rounded once, as a
        // GPU may have them, where that is what a test is about.
        for (int row = 0; row < 64; row++)
        {
            double exact[ColumnsMax];
            for (int n = 0; n < columns; n++) exact[n] = d[row][n];
            for (int k = 0; k < Inner; k++)
            {
                for (int n = 0; n < columns && !other_sums; n++)
                    d[row][n] = fmaf(a[row][k], b.at[k][n], d[row][n]);
                for (int n = 0; n < columns && other_sums; n++) exact[n] += (double)a[row][k] * b.at[k][n];
            }
            for (int n = 0; n < columns && other_sums; n++) d[row][n] = (float)exact[n];
        }
    }
}

// The last thread of the warpgroup to wait runs what all wait for.
void run_products(int group, int limit)
{
    Warpgroup& all = groups[group];
    Lane& first = lanes[group * GroupThreads];
    size_t count = 0;
    while (count < first.products.size() && first.products[count].group < limit) count++;
    for (int thread = 1; thread < GroupThreads; thread++)
    {
        Lane& lane = lanes[group * GroupThreads + thread];
        if (lane.products.size() != first.products.size()) fail("threads of a warpgroup issue different wgmma");
        for (size_t i = 0; i < count; i++)
        {
            const Product &left = lane.products[i], &right = first.products[i];
            if (left.b != right.b || left.columns != right.columns || left.group != right.group)
                fail("threads of a warpgroup issue different wgmma");
        }
    }
    static Matrix late;
    for (size_t i = 0; i < count; i++)
    {
        if (!early) read_matrix(late, first.products[i]);
        multiply(group, i, early ? all.early[i] : late);
    }
    if (early) all.early.erase(all.early.begin(), all.early.begin() + count);
    for (int thread = 0; thread < GroupThreads; thread++)
    {
        Lane& lane = lanes[group * GroupThreads + thread];
        lane.products.erase(lane.products.begin(), lane.products.begin() + count);
    }
}
}

uint32_t shared_address(const void* shared) { return FirstAddress + (uint32_t)((const unsigned char*)shared - dynamic_shared); }

void shared_written(const void* shared)
{
    int64_t offset = (const unsigned char*)shared - dynamic_shared;
    if (offset >= 0 && offset + LineBytes <= (int64_t)proxy.size()) mine().unfenced.push_back((int)(offset / LineBytes));
}

void store_shared_16(void* shared, const void* value)
{
    memcpy(shared, value, LineBytes);
    shared_written(shared);
}

void proxy_fence()
{
    for (int line : mine().unfenced)
    {
        memcpy(&proxy[line * LineBytes], dynamic_shared + line * LineBytes, LineBytes);
        lines[line].fenced_at = barriers_passed();
    }
    mine().unfenced.clear();
}

void wgmma_fence()
{
    mine().fenced = true;
    for (Registers& each : mine().known) memcpy(each.values.data(), each.at, 4 * each.values.size());
}

// Registers change between the fence and the product: known from an earlier product of the same ones.
static void demand_unchanged(const void* at, int count)
{
    for (const Registers& each : mine().known)
    {
        if (each.at != at || (int)each.values.size() != count) continue;
        if (memcmp(each.values.data(), at, 4 * count)) fail("a register of wgmma was written behind wgmma.fence");
        return;
    }
    const uint32_t* words = (const uint32_t*)at;
    mine().known.push_back({at, std::vector<uint32_t>(words, words + count)});
}

void wgmma(float* d, int columns, const uint32_t* a, uint64_t b, bool transposed, float (*convert)(uint16_t))
{
    Lane& lane = mine();
    if (!lane.fenced) fail("wgmma without wgmma.fence before it");
    demand_unchanged(a, 4);
    Accumulators* sums = find(lane, d);
    if (!sums)
    {
        demand_unchanged(d, columns / 2);
        lane.under_way.push_back({d, columns / 2, std::vector<float>(d, d + columns / 2)});
    }
    else if (!is_poison(d, sums->count))
        fail("accumulators of wgmma were written while it was under way");
    Product product = {d, columns, a, {a[0], a[1], a[2], a[3]}, b, transposed, convert, lane.groups};
    Warpgroup& group = my_group();
    // The first thread to come: whoever follows only adds its rows.
    if (early && lane.products.size() == group.early.size())
    {
        group.early.emplace_back();
        read_matrix(group.early.back(), product);
    }
    lane.products.push_back(product);
    for (int i = 0; i < columns / 2; i++) memcpy(d + i, &Poison, 4);
}

void wgmma_commit() { mine().groups++; }

void wgmma_wait(int pending)
{
    Lane& lane = mine();
    int limit = lane.groups - pending;
    if (meet(my_group().meeting, GroupThreads))
    {
        run_products(current->linear / GroupThreads, limit);
        part(my_group().meeting);
    }
    // From here on registers may be written, so the next product needs a fence.
    lane.fenced = false;
    for (size_t i = 0; i < lane.under_way.size();)
    {
        Accumulators& sums = lane.under_way[i];
        bool needed = std::any_of(
            lane.products.begin(), lane.products.end(), [&](const Product& each) { return each.d == sums.at; });
        if (needed)
        {
            i++;
            continue;
        }
        if (!is_poison(sums.at, sums.count)) fail("accumulators of wgmma were written while it was under way");
        memcpy(sums.at, sums.values.data(), 4 * sums.count);
        lane.under_way.erase(lane.under_way.begin() + i);
    }
}

void wgmma_begin_block(int shared_bytes, int threads, int order)
{
    proxy.assign(shared_bytes, 0xff);
    lines.assign(shared_bytes / LineBytes + 1, Line());
    lanes.assign(threads, Lane());
    groups.assign((threads + GroupThreads - 1) / GroupThreads, Warpgroup());
    early = order & 1;
    other_sums = order & OtherSums;
}

const char* wgmma_end_block()
{
    for (const Lane& lane : lanes)
        if (!lane.products.empty()) return "wgmma was issued and never waited for";
    return 0;
}
}
