// The scheduler of simt.h: fibers with a hand-written switch on x86-64, ucontext elsewhere.
#include "simt.h"
#include "fibers.h"

#include <stdio.h>
#include <stdlib.h>

#include <vector>

#ifndef __x86_64__
#include <ucontext.h>
#endif

// The kernels' static shared memory; the linker names the section's bounds.
extern unsigned char __start_simt_shared[] __attribute__((weak));
extern unsigned char __stop_simt_shared[] __attribute__((weak));

namespace simt
{
Thread* current;
Dim block_index, block_dim, grid_dim;
unsigned char* dynamic_shared;

namespace
{
const int StackBytes = 128 * 1024;
const int GuardBytes = 256;
const int LaneBytes = 64;
const int ThreadsMax = 1024;

enum State { Ready, AtBarrier, AtExchange, AtMeeting, Done };

struct Copy { void* shared; const void* global; int group; };
}

struct Warp
{
    // Two buffers: a lane cannot be two exchanges ahead of another.
    alignas(16) unsigned char values[2][32 * LaneBytes];
    uint32_t arrived[2];
    uint32_t mask[2];
    int turn[32];
};

namespace
{
#ifdef __x86_64__
struct Context { void* stack_pointer; };

extern "C" void simt_switch(Context* from, Context* to);
// Callee-saved registers of the System V ABI; the caller has saved the rest.
asm(R"(
.text
.globl simt_switch
.type simt_switch,@function
simt_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

void prepare(Context& context, unsigned char* stack, void (*entry)())
{
    // At entry the stack pointer is 8 off a multiple of 16, as after a call.
    void** top = (void**)(stack + StackBytes - 16);
    *--top = 0;
    *--top = (void*)entry;
    for (int i = 0; i < 6; i++) *--top = 0;
    context.stack_pointer = top;
}

void change(Context& from, Context& to) { simt_switch(&from, &to); }
#else
struct Context { ucontext_t machine; };

void prepare(Context& context, unsigned char* stack, void (*entry)())
{
    getcontext(&context.machine);
    context.machine.uc_stack.ss_sp = stack;
    context.machine.uc_stack.ss_size = StackBytes;
    context.machine.uc_link = 0;
    makecontext(&context.machine, entry, 0);
}

void change(Context& from, Context& to) { swapcontext(&from.machine, &to.machine); }
#endif

struct Fiber : Thread
{
    Context context;
    State state;
    std::vector<Copy> copies;
    int groups;
    const Meeting* meeting;
    int awaited;
};

struct Run
{
    Body body;
    const void* arguments;
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    unsigned char* stacks = 0;
    Context scheduler;
    const char* error = 0;
    uint32_t random = 1;
    int barriers = 0;
};

Run run;

Fiber& self() { return *(Fiber*)current; }

void yield(State state)
{
    Fiber& fiber = self();
    fiber.state = state;
    change(fiber.context, run.scheduler);
}

void enter()
{
    run.body(run.arguments);
    self().state = Done;
    change(self().context, run.scheduler);
}

bool exchange_is_complete(const Fiber& fiber)
{
    const Warp& warp = *fiber.warp;
    int turn = (warp.turn[fiber.linear % 32] - 1) & 1;
    return warp.arrived[turn] == warp.mask[turn];
}

uint32_t draw() { return run.random = run.random * 1664525u + 1013904223u; }

// Runs every fiber of a block to its end.
void run_block(int threads, int order)
{
    std::vector<int> sequence(threads);
    for (int i = 0; i < threads; i++) sequence[i] = order == 1 ? threads - 1 - i : i;
    int done = 0;
    while (done < threads)
    {
        if (order > 1)
            for (int i = threads - 1; i > 0; i--)
            {
                int other = draw() % (i + 1), kept = sequence[i];
                sequence[i] = sequence[other];
                sequence[other] = kept;
            }
        bool moved = false;
        for (int i : sequence)
        {
            Fiber& fiber = run.fibers[i];
            if (fiber.state == AtExchange && exchange_is_complete(fiber)) fiber.state = Ready;
            if (fiber.state == AtMeeting && fiber.meeting->generation != fiber.awaited) fiber.state = Ready;
            if (fiber.state != Ready) continue;
            moved = true;
            current = &fiber;
            change(run.scheduler, fiber.context);
            if (run.error) return;
            if (fiber.state == Done) done++;
        }
        if (moved) continue;
        int waiting = 0;
        for (Fiber& fiber : run.fibers) waiting += fiber.state == AtBarrier;
        // Threads that have ended count as missing, which a GPU may forgive.
        if (waiting < threads)
        {
            run.error = "threads wait for each other: a barrier or a warp's exchange is not reached by all";
            return;
        }
        run.barriers++;
        for (Fiber& fiber : run.fibers)
            if (fiber.state == AtBarrier) fiber.state = Ready;
    }
}
}

int barriers_passed() { return run.barriers; }

void fail(const char* error)
{
    run.error = error;
    yield(Ready);
}

bool meet(Meeting& meeting, int count)
{
    if (++meeting.arrived == count) return true;
    self().meeting = &meeting;
    self().awaited = meeting.generation;
    yield(AtMeeting);
    return false;
}

void part(Meeting& meeting)
{
    meeting.arrived = 0;
    meeting.generation++;
}

void barrier() { yield(AtBarrier); }

// The last lane to come calls `finish` with what all have brought.
static const unsigned char* exchange_and(uint32_t mask, const void* value, int bytes, void (*finish)(unsigned char*))
{
    Warp& warp = *current->warp;
    int lane = current->linear % 32;
    int turn = warp.turn[lane]++ & 1;
    // The first to come to this turn clears what the turn before the last left.
    if (warp.arrived[turn] == warp.mask[turn]) warp.arrived[turn] = 0;
    warp.mask[turn] = mask;
    warp.arrived[turn] |= 1u << lane;
    memcpy(warp.values[turn] + lane * LaneBytes, value, bytes);
    if (warp.arrived[turn] != mask) yield(AtExchange);
    else if (finish) finish(warp.values[turn]);
    return warp.values[turn];
}

const unsigned char* exchange(uint32_t mask, const void* value, int bytes)
{
    return exchange_and(mask, value, bytes, 0);
}

namespace
{
void multiply_all(unsigned char* values)
{
    TilePart* lane = (TilePart*)values;
    float a[16][16], b[16][8], d[16][8];
    for (int i = 0; i < 32; i++)
    {
        int g = i / 4, t = i % 4;
        for (int odd = 0; odd < 2; odd++)
        {
            for (int late = 0; late < 2; late++)
            {
                a[g][late * 8 + 2 * t + odd] = lane[i].a[late * 4 + odd];
                a[g + 8][late * 8 + 2 * t + odd] = lane[i].a[late * 4 + 2 + odd];
                b[late * 8 + 2 * t + odd][g] = lane[i].b[late * 2 + odd];
            }
            d[g][2 * t + odd] = lane[i].d[odd];
            d[g + 8][2 * t + odd] = lane[i].d[2 + odd];
        }
    }
    for (int k = 0; k < 16; k++)
        for (int row = 0; row < 16; row++)
            for (int column = 0; column < 8; column++)
                d[row][column] = fmaf(a[row][k], b[k][column], d[row][column]);
    for (int i = 0; i < 32; i++)
    {
        int g = i / 4, t = i % 4;
        for (int odd = 0; odd < 2; odd++)
        {
            lane[i].d[odd] = d[g][2 * t + odd];
            lane[i].d[2 + odd] = d[g + 8][2 * t + odd];
        }
    }
}
}

void multiply_parts(TilePart& mine)
{
    const unsigned char* all = exchange_and(0xffffffffu, &mine, sizeof mine, multiply_all);
    memcpy(mine.d, ((const TilePart*)(all + current->linear % 32 * LaneBytes))->d, sizeof mine.d);
}

void copy_async_16(void* shared, const void* global)
{
    if (((uintptr_t)shared | (uintptr_t)global) % 16 != 0)
    {
        run.error = "an asynchronous copy of 16 bytes from or to an address that is no multiple of 16";
        yield(Ready);
    }
    Copy copy;
    copy.shared = shared;
    copy.global = global;
    copy.group = self().groups;
    self().copies.push_back(copy);
    // Until the wait nobody may read it.
    memset(shared, 0xff, 16);
}

void copy_async_commit() { self().groups++; }

void copy_async_wait(int pending)
{
    Fiber& fiber = self();
    size_t kept = 0;
    for (Copy& copy : fiber.copies)
    {
        if (copy.group < fiber.groups - pending)
        {
            memcpy(copy.shared, copy.global, 16);
            shared_written(copy.shared);
        }
        else fiber.copies[kept++] = copy;
    }
    fiber.copies.resize(kept);
}

float half_to_float(uint16_t bits)
{
    _Float16 value;
    memcpy(&value, &bits, 2);
    return (float)value;
}

uint16_t float_to_half(float value)
{
    _Float16 half = (_Float16)value;
    uint16_t bits;
    memcpy(&bits, &half, 2);
    return bits;
}

const char* launch(Body body, const void* arguments, Dim grid, Dim block, int shared_bytes, int order)
{
    int threads = block.x * block.y * block.z;
    if (threads < 1 || threads > ThreadsMax) return "a thread block has 1 to 1024 threads";
    if (!run.stacks) run.stacks = (unsigned char*)aligned_alloc(64, (size_t)StackBytes * ThreadsMax);
    run.body = body;
    run.arguments = arguments;
    run.error = 0;
    run.random = order;
    run.fibers.resize(threads);
    run.warps.resize((threads + 31) / 32);
    std::vector<unsigned char> shared(shared_bytes + GuardBytes + 1024);
    dynamic_shared = (unsigned char*)(((uintptr_t)shared.data() + 1023) & ~(uintptr_t)1023);
    block_dim = block;
    grid_dim = grid;
    for (int b = 0; b < grid.x * grid.y * grid.z && !run.error; b++)
    {
        block_index = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        memset(dynamic_shared, 0xff, shared_bytes);
        memset(dynamic_shared + shared_bytes, 0xa5, GuardBytes);
        if (__start_simt_shared) memset(__start_simt_shared, 0xff, __stop_simt_shared - __start_simt_shared);
        for (Warp& warp : run.warps) memset(&warp, 0, sizeof warp);
        wgmma_begin_block(shared_bytes, threads, order);
        for (int i = 0; i < threads; i++)
        {
            Fiber& fiber = run.fibers[i];
            fiber.index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
            fiber.linear = i;
            fiber.warp = &run.warps[i / 32];
            fiber.state = Ready;
            fiber.copies.clear();
            fiber.groups = 0;
            prepare(fiber.context, run.stacks + (size_t)i * StackBytes, enter);
        }
        run_block(threads, order & 0xffff);
        if (!run.error) run.error = wgmma_end_block();
        for (int i = 0; i < GuardBytes && !run.error; i++)
            if (dynamic_shared[shared_bytes + i] != 0xa5) run.error = "a write behind the dynamic shared memory";
    }
    return run.error;
}
}
