// NCCL's all-gather by name and signature, between ranks that are threads of one process.
#include <stddef.h>
#include <string.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "calls.h"

#define EXPORT extern "C" __attribute__((visibility("default"))) int

namespace
{
struct Id { char bytes[128]; };

// One gathering of all ranks: who comes first leaves his part's address, who comes last has all.
struct World
{
    std::mutex gate;
    std::condition_variable changed;
    int ranks = 0, joined = 0;
    bool aborted = false;
    std::vector<std::vector<char>> parts;
    int arrived = 0, left = 0;
    long turn = 0;
};

struct Communicator { std::shared_ptr<World> world; int rank; };

// Everybody leaves his part and takes all.
void gather(World* world, int rank, const void* source, void* target, size_t bytes, void* stream)
{
    std::unique_lock<std::mutex> held(world->gate);
    world->changed.wait(held, [&] { return world->left == 0 || world->aborted; });
    if (world->aborted) return;
    world->parts[rank].assign((const char*)source, (const char*)source + bytes);
    long turn = world->turn;
    if (++world->arrived == world->ranks)
    {
        world->turn++;
        world->left = world->ranks;
        world->changed.notify_all();
    }
    else
        while (world->turn == turn)
        {
            held.unlock();
            bool helped = emulated_help(stream);
            held.lock();
            if (world->aborted) return;
            if (!helped) world->changed.wait_for(held, std::chrono::microseconds(200));
        }
    for (int i = 0; i < world->ranks; i++) memcpy((char*)target + i * bytes, world->parts[i].data(), bytes);
    if (--world->left == 0)
    {
        world->arrived = 0;
        world->changed.notify_all();
    }
}

std::mutex gate;
std::map<std::string, std::shared_ptr<World>> worlds;
int next_id = 1;
}

EXPORT ncclGetVersion(int* version) { *version = 22900; return 0; }
extern "C" __attribute__((visibility("default"))) const char* ncclGetErrorString(int status)
{
    return status ? "unhandled emulated error" : "no error";
}
EXPORT ncclGetUniqueId(Id* id)
{
    if (int status = emulated_call("ncclGetUniqueId")) return status;
    std::lock_guard<std::mutex> held(gate);
    memset(id, 0, sizeof *id);
    memcpy(id->bytes, &next_id, sizeof next_id);
    next_id++;
    return 0;
}
EXPORT ncclCommInitRank(Communicator** communicator, int ranks, Id id, int rank)
{
    if (int status = emulated_call("ncclCommInitRank")) return status;
    std::shared_ptr<World> world;
    {
        std::lock_guard<std::mutex> held(gate);
        auto& place = worlds[std::string(id.bytes, sizeof id.bytes)];
        if (!place) place = std::make_shared<World>();
        world = place;
    }
    std::unique_lock<std::mutex> held(world->gate);
    world->ranks = ranks;
    world->parts.resize(ranks);
    world->joined++;
    world->changed.notify_all();
    world->changed.wait(held, [&] { return world->joined >= ranks; });
    *communicator = new Communicator{world, rank};
    return 0;
}
EXPORT ncclCommDestroy(Communicator* communicator)
{
    emulated_call("ncclCommDestroy");
    delete communicator;
    return 0;
}
EXPORT ncclCommAbort(Communicator* communicator)
{
    emulated_call("ncclCommAbort");
    std::lock_guard<std::mutex> held(communicator->world->gate);
    communicator->world->aborted = true;
    communicator->world->changed.notify_all();
    return 0;
}
// Done when its stream comes to it, as NCCL does: the emulated streams run as late as they may.
EXPORT ncclAllGather(
    const void* source, void* target, size_t count, int type, Communicator* communicator, void* stream)
{
    if (int status = emulated_call("ncclAllGather")) return status;
    size_t bytes = count * (type == 7 ? 4 : type == 9 || type == 6 ? 2 : 1);
    std::shared_ptr<World> world = communicator->world;
    int rank = communicator->rank;
    return emulated_push(stream, [=] {
        emulated_outside([=] { gather(world.get(), rank, source, target, bytes, stream); });
        return 0;
    });
}
