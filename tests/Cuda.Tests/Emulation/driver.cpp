// A CUDA driver without a GPU, by the names and signatures of libcuda: memory is the host's, kernels run on simt.cpp,
// streams are real queues. For tests of the code above it:
//  - a stream's work runs as late as it may (SIMT_EAGER=1: at once), so that a missing wait shows in the numbers;
//  - memory is born and dies full of NaNs; copies outside a live allocation fail;
//  - every call is recorded, and any call can be made to fail.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "calls.h"

namespace
{
enum Status { Success = 0, InvalidValue = 1, OutOfMemory = 2, NotFound = 500, NotReady = 600, LaunchFailed = 719 };

struct Dim { int x, y, z; };
typedef const char* (*Launcher)(const void*, Dim, Dim, int, int);

struct Event { uint64_t recorded = 0, done = 0; struct Stream* of = 0; double at = 0; bool alive = true; };
struct Operation { std::function<int()> run; Event* waits_for = 0; uint64_t version = 0; Event* records = 0; };
struct Graph { std::vector<Operation> operations; };
struct Stream
{
    std::deque<Operation> queue;
    Graph* capture = 0;
    int device = 0;
    bool busy = false, broken = false;
};
struct Module { void* library; };
struct Function { Launcher launch; int argument_bytes; std::string name; int shared_bytes = 48 * 1024; };
struct Allocation
{
    size_t bytes;
    int device;
    bool host;
    int file = -1;
    bool imported = false, exported = false;
    uint64_t handle = 0;  // of what is mapped there (cuMemMap)
    bool rdma = false;
};
struct Buried { void* memory; size_t mapped; };
// Memory apart from addresses: a file, so that another process can map it by a descriptor.
struct Physical
{
    size_t bytes;
    int device, file;
    bool exportable, rdma, imported;
    int mappings = 0;
    bool released = false;
};
struct Reservation { size_t bytes; uint64_t mapped = 0; bool accessible = false; };
struct Location { int type, id; };
struct Properties
{
    int type, handle_types;
    Location location;
    void* metadata;
    unsigned char compression, rdma;
    unsigned short usage;
    unsigned char reserved[4];
};
struct Access { Location location; int flags; };
struct IpcHandle { int process; int file; uint64_t bytes; int device; char rest[44]; };

std::recursive_mutex gate;
thread_local int depth = 0;

struct Hold
{
    Hold() { gate.lock(); depth++; }
    ~Hold() { depth--; gate.unlock(); }
};

std::map<uintptr_t, Allocation> allocations;
std::map<uint64_t, Physical> physical;
std::map<uintptr_t, Reservation> reservations;
uint64_t next_handle = 1;
const size_t granularity = 2 << 20;
bool has_virtual = true, has_rdma = true, peers = true;
std::map<int, int> retained;
std::set<Stream*> streams;
std::set<Event*> events;
std::set<void*> modules, graphs, registered;
std::vector<Buried> buried;
bool own_handles = false;
std::vector<std::string> record;
struct Failure { std::string call; int after; int status; };
std::vector<Failure> failures;
int sticky = Success;
// Devices that died, each with the error that its calls have from then on.
std::map<int, int> lost;

// A failure that a process of its own is started with: EMULATED_FAIL=CALL,AFTER,STATUS.
struct StartedWith
{
    StartedWith()
    {
        char call[64];
        int after, status;
        const char* text = getenv("EMULATED_FAIL");
        if (text && sscanf(text, "%63[^,],%d,%d", call, &after, &status) == 3) failures.push_back({call, after, status});
    }
} started_with;
std::string last_error;
double clock_ms = 0;
int order = 0;
bool eager = false;
int devices = 1;
int compute_major = 9, compute_minor = 0;
size_t memory_bytes = (size_t)2 << 30;
thread_local int current_device = -1;
// Which life of its device the thread's context is of: a primary context ends with its last user.
std::map<int, int> lives;
thread_local int current_life = 0;
// The stream that this thread records, while it does.
thread_local Stream* recording = 0;

// A GPU whose memory others have, as long as the file is there: EMULATED_FULL=PATH.
bool is_full(const char* call)
{
    static const char* file = getenv("EMULATED_FULL");
    return file && (!strcmp(call, "cuMemAlloc_v2") || !strcmp(call, "cuMemCreate")) && access(file, F_OK) == 0;
}

int enter(const char* call)
{
    record.push_back(call);
    if (is_full(call)) return OutOfMemory;
    for (size_t i = 0; i < failures.size(); i++)
    {
        if (failures[i].call != call || failures[i].after-- > 0) continue;
        int status = failures[i].status;
        failures.erase(failures.begin() + i);
        return status;
    }
    return sticky;
}

// Work of a device that is to die meanwhile ("run DEVICE"); it runs nothing any more.
int died(int device)
{
    std::string name = "run " + std::to_string(device);
    for (size_t i = 0; i < failures.size() && !lost.count(device); i++)
    {
        if (failures[i].call != name || failures[i].after-- > 0) continue;
        lost[device] = failures[i].status;
        failures.erase(failures.begin() + i--);
    }
    auto found = lost.find(device);
    return found == lost.end() ? (int)Success : found->second;
}

// A call that needs a context, of a thread that has none or one that ended.
int without_context()
{
    if (current_device < 0 || current_life != lives[current_device]) return 201;
    auto found = lost.find(current_device);
    return found == lost.end() ? (int)Success : found->second;
}

// What may not be called by a thread that records: it ends the recording.
int while_recording()
{
    if (!recording) return Success;
    recording->broken = true;
    return 900;
}

#define ENTER_ANYWHERE(call)                                        \
    Hold held;      \
    if (int status = enter(call)) return status
#define ENTER(call)                                        \
    ENTER_ANYWHERE(call);      \
    if (int status = without_context()) return status
#define ENTER_OUTSIDE(call)                                        \
    ENTER(call);      \
    if (int status = while_recording()) return status
#define EXPORT extern "C" __attribute__((visibility("default"))) int

bool is_inside(uintptr_t at, size_t bytes)
{
    auto next = allocations.upper_bound(at);
    if (next == allocations.begin()) return false;
    --next;
    return at + bytes <= next->first + next->second.bytes;
}

size_t used_bytes(int device)
{
    size_t sum = 0;
    for (auto& each : allocations)
        if (!each.second.host && !each.second.imported && !each.second.handle && each.second.device == device)
            sum += each.second.bytes;
    for (auto& each : physical)
        if (!each.second.imported && each.second.device == device) sum += each.second.bytes;
    return sum;
}

int run_until(Stream* stream, Event* event, uint64_t version);

// Runs the head of a stream's queue, and first what it waits for.
int run_one(Stream* stream)
{
    // Another thread is in the middle of its head, which waits for another rank: what lies behind waits too.
    while (stream->busy) emulated_outside([] { usleep(100); });
    if (stream->queue.empty()) return Success;
    if (int status = died(stream->device)) return status;
    Operation operation = stream->queue.front();
    if (operation.waits_for)
    {
        Event* event = operation.waits_for;
        if (event->done < operation.version)
            if (int status = run_until(event->of, event, operation.version)) return status;
        stream->queue.pop_front();
        return Success;
    }
    stream->queue.pop_front();
    if (operation.records)
    {
        operation.records->done = operation.version;
        operation.records->at = clock_ms += 0.001;
        return Success;
    }
    stream->busy = true;
    int status = operation.run();
    stream->busy = false;
    if (status) sticky = status;
    return status;
}

int run_until(Stream* stream, Event* event, uint64_t version)
{
    while (!stream->queue.empty() && (!event || event->done < version))
        if (int status = run_one(stream)) return status;
    return Success;
}

int push(Stream* stream, Operation operation)
{
    if (!streams.count(stream)) return InvalidValue;
    if (stream->capture)
    {
        stream->capture->operations.push_back(operation);
        return Success;
    }
    stream->queue.push_back(operation);
    return eager ? run_until(stream, 0, 0) : (int)Success;
}

void* allocate(size_t bytes, bool host)
{
    // Guards before and behind.
    const size_t guard = 256;
    size_t whole = (bytes + 3 * guard - 1) / guard * guard;
    // Large device memory is a file, so that another process can map it by a handle.
    int file = !host && bytes >= 1 << 18 ? memfd_create("emulated", MFD_CLOEXEC) : -1;
    if (file >= 0 && ftruncate(file, whole)) return 0;
    unsigned char* memory = file < 0
        ? (unsigned char*)aligned_alloc(256, whole)
        : (unsigned char*)mmap(0, whole, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    memset(memory, 0xff, whole);
    allocations[(uintptr_t)memory + guard] = {bytes, current_device, host, file};
    return memory + guard;
}

int release(void* pointer, bool host)
{
    auto found = allocations.find((uintptr_t)pointer);
    if (found == allocations.end() || found->second.host != host || found->second.imported || found->second.handle)
        return InvalidValue;
    memset(pointer, 0xff, found->second.bytes);
    // Not given back at once: a late reader shall meet NaNs and not another's numbers.
    int file = found->second.file;
    buried.push_back({(char*)pointer - 256, file < 0 ? 0 : (found->second.bytes + 767) / 256 * 256});
    if (file >= 0) close(file);
    while (buried.size() > 64)
    {
        if (buried.front().mapped) munmap(buried.front().memory, buried.front().mapped);
        else free(buried.front().memory);
        buried.erase(buried.begin());
    }
    allocations.erase(found);
    return Success;
}

int copy(Stream* stream, void* target, const void* source, size_t bytes, bool to_device, bool from_device)
{
    if (to_device && !is_inside((uintptr_t)target, bytes)) return InvalidValue;
    if (from_device && !is_inside((uintptr_t)source, bytes)) return InvalidValue;
    Operation operation;
    operation.run = [=] {
        if (to_device && !is_inside((uintptr_t)target, bytes)) return (int)InvalidValue;
        if (from_device && !is_inside((uintptr_t)source, bytes)) return (int)InvalidValue;
        memmove(target, source, bytes);
        return (int)Success;
    };
    return push(stream, operation);
}
}

EXPORT cuInit(unsigned) { ENTER_ANYWHERE("cuInit"); return devices > 0 ? Success : 100; }
EXPORT cuDriverGetVersion(int* version) { *version = 12040; return Success; }
EXPORT cuDeviceGetCount(int* count) { ENTER_ANYWHERE("cuDeviceGetCount"); *count = devices; return Success; }
EXPORT cuDeviceGet(int* device, int ordinal)
{
    ENTER_ANYWHERE("cuDeviceGet");
    *device = ordinal;
    return ordinal < devices ? Success : 101;
}
EXPORT cuDeviceGetName(char* name, int length, int) { snprintf(name, length, "emulated GPU"); return Success; }
EXPORT cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = memory_bytes; return Success; }
EXPORT cuDeviceGetAttribute(int* value, int attribute, int)
{
    *value = attribute == 102 || attribute == 103 ? has_virtual : attribute == 110 ? has_rdma
        : attribute == 75 ? compute_major : attribute == 76 ? compute_minor : attribute == 16 ? 4
        : attribute == 97 ? 227 * 1024 : 0;
    return Success;
}
EXPORT cuDeviceGetUuid_v2(unsigned char* uuid, int device)
{
    memset(uuid, 0xe0, 16);
    uuid[15] = (unsigned char)device;
    return Success;
}
EXPORT cuDeviceCanAccessPeer(int* can, int from, int to)
{
    ENTER_ANYWHERE("cuDeviceCanAccessPeer");
    if (from >= devices || to >= devices) return 101;
    *can = from != to && peers;
    return Success;
}
EXPORT cuDevicePrimaryCtxRetain(void** context, int device)
{
    ENTER_ANYWHERE("cuDevicePrimaryCtxRetain");
    *context = (void*)(uintptr_t)(device + 1);
    retained[device]++;
    return Success;
}
EXPORT cuDevicePrimaryCtxRelease_v2(int device)
{
    Hold all;
    retained[device]--;
    ENTER_ANYWHERE("cuDevicePrimaryCtxRelease_v2");
    // The last one takes the context's memory along; what was exported stays for whoever has it open.
    if (retained[device] > 0) return Success;
    lives[device]++;
    for (auto next = allocations.begin(); next != allocations.end();)
    {
        auto each = next++;
        if (!each->second.exported || each->second.device != device) continue;
        if (each->second.file >= 0) close(each->second.file);
        munmap((char*)each->first - 256, (each->second.bytes + 767) / 256 * 256);
        allocations.erase(each);
    }
    return Success;
}
EXPORT cuCtxSetCurrent(void* context)
{
    Hold held;
    current_device = (int)(uintptr_t)context - 1;
    current_life = lives[current_device];
    return retained[current_device] > 0 ? Success : 201;
}
EXPORT cuCtxSynchronize()
{
    ENTER_OUTSIDE("cuCtxSynchronize");
    for (Stream* stream : streams)
        if (stream->device == current_device)
            if (int status = run_until(stream, 0, 0)) return status;
    return Success;
}
EXPORT cuMemGetInfo_v2(size_t* free, size_t* total)
{
    Hold held;
    if (int status = without_context()) return status;
    *total = memory_bytes;
    *free = memory_bytes - used_bytes(current_device);
    return Success;
}
EXPORT cuMemAlloc_v2(void** pointer, size_t bytes)
{
    ENTER_OUTSIDE("cuMemAlloc_v2");
    if (used_bytes(current_device) + bytes > memory_bytes) return OutOfMemory;
    *pointer = allocate(bytes, false);
    return Success;
}
EXPORT cuMemFree_v2(void* pointer)
{
    ENTER_OUTSIDE("cuMemFree_v2");
    // Undefined while another process may have it open: here, refused.
    auto found = allocations.find((uintptr_t)pointer);
    if (found != allocations.end() && found->second.exported) return InvalidValue;
    // As the driver does, wait for all work; then a free cannot come before the last use, but the record shows it.
    // Of this GPU alone: another's may be in the middle of a meeting of ranks.
    for (Stream* stream : streams)
        if (stream->device == current_device)
            if (int status = run_until(stream, 0, 0)) return status;
    return release(pointer, false);
}
EXPORT cuMemGetAddressRange_v2(void** start, size_t* bytes, void* pointer)
{
    ENTER("cuMemGetAddressRange_v2");
    auto next = allocations.upper_bound((uintptr_t)pointer);
    if (!is_inside((uintptr_t)pointer, 0) || next == allocations.begin()) return 1;
    --next;
    // As the driver: it knows no such range.
    if (next->second.handle) return NotFound;
    *start = (void*)next->first;
    *bytes = next->second.bytes;
    return Success;
}
EXPORT cuIpcGetMemHandle(IpcHandle* handle, void* pointer)
{
    ENTER_OUTSIDE("cuIpcGetMemHandle");
    auto found = allocations.find((uintptr_t)pointer);
    if (found == allocations.end() || found->second.file < 0) return InvalidValue;
    found->second.exported = true;
    *handle = {getpid(), found->second.file, found->second.bytes, found->second.device, {}};
    return Success;
}
EXPORT cuIpcOpenMemHandle_v2(void** pointer, IpcHandle handle, unsigned)
{
    ENTER_OUTSIDE("cuIpcOpenMemHandle_v2");
    // The driver refuses its own process; tests of both ends in one ask for it.
    if (handle.process == getpid() && !own_handles) return 201;
    std::string path = "/proc/" + std::to_string(handle.process) + "/fd/" + std::to_string(handle.file);
    int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) return 400;
    if (handle.device != current_device && !peers) return 217;
    size_t whole = (handle.bytes + 767) / 256 * 256;
    char* memory = (char*)mmap(0, whole, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) return 400;
    allocations[(uintptr_t)memory + 256] = {handle.bytes, current_device, false, -1, true};
    *pointer = memory + 256;
    return Success;
}
EXPORT cuIpcCloseMemHandle(void* pointer)
{
    ENTER_OUTSIDE("cuIpcCloseMemHandle");
    auto found = allocations.find((uintptr_t)pointer);
    if (found == allocations.end() || !found->second.imported) return InvalidValue;
    munmap((char*)pointer - 256, (found->second.bytes + 767) / 256 * 256);
    allocations.erase(found);
    return Success;
}
EXPORT cuMemGetAllocationGranularity(size_t* bytes, const Properties* properties, int)
{
    ENTER("cuMemGetAllocationGranularity");
    if (properties->type != 1 || properties->location.type != 1) return InvalidValue;
    *bytes = granularity;
    return Success;
}
EXPORT cuMemCreate(uint64_t* handle, size_t bytes, const Properties* properties, unsigned long long flags)
{
    ENTER("cuMemCreate");
    if (flags || properties->type != 1 || properties->location.type != 1 || properties->metadata || bytes == 0
        || bytes % granularity)
        return InvalidValue;
    if (properties->location.id < 0 || properties->location.id >= devices) return 101;
    if (!has_virtual || (properties->rdma && !has_rdma)) return 801;
    if (used_bytes(properties->location.id) + bytes > memory_bytes) return OutOfMemory;
    // The name tells an importer which GPU it is of.
    std::string name = "emulated-virtual-" + std::to_string(properties->location.id);
    int file = memfd_create(name.c_str(), MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, bytes)) return OutOfMemory;
    void* memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    memset(memory, 0xff, bytes);
    munmap(memory, bytes);
    *handle = next_handle++;
    physical[*handle] = {
        bytes, properties->location.id, file, properties->handle_types == 1, properties->rdma != 0, false};
    return Success;
}
void end_if_unused(uint64_t handle)
{
    auto found = physical.find(handle);
    if (!found->second.released || found->second.mappings) return;
    close(found->second.file);
    physical.erase(found);
}
EXPORT cuMemRelease(uint64_t handle)
{
    ENTER("cuMemRelease");
    auto found = physical.find(handle);
    if (found == physical.end() || found->second.released) return InvalidValue;
    found->second.released = true;
    end_if_unused(handle);
    return Success;
}
EXPORT cuMemAddressReserve(void** pointer, size_t bytes, size_t, void*, unsigned long long flags)
{
    ENTER("cuMemAddressReserve");
    if (flags || bytes == 0 || bytes % granularity) return InvalidValue;
    void* memory = mmap(0, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return OutOfMemory;
    reservations[(uintptr_t)memory] = {bytes};
    *pointer = memory;
    return Success;
}
EXPORT cuMemAddressFree(void* pointer, size_t bytes)
{
    ENTER("cuMemAddressFree");
    auto found = reservations.find((uintptr_t)pointer);
    if (found == reservations.end() || found->second.bytes != bytes || found->second.mapped) return InvalidValue;
    reservations.erase(found);
    // Not given back at once, as above.
    buried.push_back({pointer, bytes});
    return Success;
}
EXPORT cuMemMap(void* pointer, size_t bytes, size_t offset, uint64_t handle, unsigned long long flags)
{
    ENTER("cuMemMap");
    auto place = reservations.find((uintptr_t)pointer);
    auto memory = physical.find(handle);
    if (flags || offset || place == reservations.end() || place->second.bytes != bytes || place->second.mapped
        || memory == physical.end() || memory->second.released || bytes > memory->second.bytes || bytes % granularity)
        return InvalidValue;
    // Nobody may touch it before cuMemSetAccess.
    mmap(pointer, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, memory->second.file, 0);
    place->second.mapped = handle;
    memory->second.mappings++;
    return Success;
}
EXPORT cuMemUnmap(void* pointer, size_t bytes)
{
    ENTER("cuMemUnmap");
    auto place = reservations.find((uintptr_t)pointer);
    if (place == reservations.end() || place->second.bytes != bytes || !place->second.mapped) return InvalidValue;
    // A late reader shall meet NaNs.
    mmap(pointer, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memset(pointer, 0xff, bytes);
    allocations.erase((uintptr_t)pointer);
    uint64_t handle = place->second.mapped;
    place->second = {bytes};
    physical[handle].mappings--;
    end_if_unused(handle);
    return Success;
}
EXPORT cuMemSetAccess(void* pointer, size_t bytes, const Access* access, size_t count)
{
    ENTER("cuMemSetAccess");
    auto place = reservations.find((uintptr_t)pointer);
    if (count != 1 || place == reservations.end() || place->second.bytes != bytes || !place->second.mapped
        || access->location.type != 1 || access->flags != 3)
        return InvalidValue;
    Physical& memory = physical[place->second.mapped];
    if (access->location.id >= devices || (access->location.id != memory.device && !peers)) return 101;
    mprotect(pointer, bytes, PROT_READ | PROT_WRITE);
    Allocation made = {bytes, memory.device, false, -1, memory.imported};
    made.handle = place->second.mapped;
    made.rdma = memory.rdma;
    allocations[(uintptr_t)pointer] = made;
    return Success;
}
EXPORT cuMemExportToShareableHandle(int* file, uint64_t handle, int type, unsigned long long flags)
{
    ENTER("cuMemExportToShareableHandle");
    auto found = physical.find(handle);
    if (flags || type != 1 || found == physical.end() || !found->second.exportable) return InvalidValue;
    *file = fcntl(found->second.file, F_DUPFD_CLOEXEC, 0);
    return *file < 0 ? 801 : Success;
}
EXPORT cuMemImportFromShareableHandle(uint64_t* handle, void* file, int type)
{
    ENTER("cuMemImportFromShareableHandle");
    char name[64] = {};
    std::string link = "/proc/self/fd/" + std::to_string((int)(intptr_t)file);
    if (type != 1 || readlink(link.c_str(), name, sizeof name - 1) < 0) return InvalidValue;
    const char* mark = "emulated-virtual-";
    const char* found = strstr(name, mark);
    if (!found) return InvalidValue;
    int own = fcntl((int)(intptr_t)file, F_DUPFD_CLOEXEC, 0);
    struct stat state;
    if (own < 0 || fstat(own, &state)) return InvalidValue;
    *handle = next_handle++;
    physical[*handle] = {(size_t)state.st_size, atoi(found + strlen(mark)), own, false, false, true};
    return Success;
}
EXPORT cuMemHostAlloc(void** pointer, size_t bytes, unsigned)
{
    ENTER_OUTSIDE("cuMemHostAlloc");
    *pointer = allocate(bytes, true);
    return Success;
}
EXPORT cuMemHostRegister_v2(void* pointer, size_t, unsigned)
{
    ENTER_OUTSIDE("cuMemHostRegister_v2");
    return registered.insert(pointer).second ? Success : 712;
}
EXPORT cuMemHostUnregister(void* pointer)
{
    Hold all;
    // With an error too: a context that is lost has taken the pin along.
    bool known = registered.erase(pointer) > 0;
    ENTER_OUTSIDE("cuMemHostUnregister");
    return known ? Success : 713;
}
EXPORT cuMemFreeHost(void* pointer) { ENTER_OUTSIDE("cuMemFreeHost"); return release(pointer, true); }
EXPORT cuMemcpyHtoDAsync_v2(void* target, const void* source, size_t bytes, Stream* stream)
{
    ENTER("cuMemcpyHtoDAsync_v2");
    return copy(stream, target, source, bytes, true, false);
}
EXPORT cuMemcpyDtoHAsync_v2(void* target, const void* source, size_t bytes, Stream* stream)
{
    ENTER("cuMemcpyDtoHAsync_v2");
    return copy(stream, target, source, bytes, false, true);
}
EXPORT cuMemcpyDtoDAsync_v2(void* target, const void* source, size_t bytes, Stream* stream)
{
    ENTER("cuMemcpyDtoDAsync_v2");
    return copy(stream, target, source, bytes, true, true);
}
EXPORT cuMemsetD8Async(void* target, unsigned char value, size_t bytes, Stream* stream)
{
    ENTER("cuMemsetD8Async");
    if (!is_inside((uintptr_t)target, bytes)) return InvalidValue;
    Operation operation;
    operation.run = [=] { memset(target, value, bytes); return (int)Success; };
    return push(stream, operation);
}
EXPORT cuStreamCreate(Stream** stream, unsigned)
{
    ENTER("cuStreamCreate");
    *stream = new Stream();
    (*stream)->device = current_device;
    streams.insert(*stream);
    return Success;
}
EXPORT cuStreamDestroy_v2(Stream* stream)
{
    ENTER("cuStreamDestroy_v2");
    if (!streams.count(stream)) return InvalidValue;
    int status = run_until(stream, 0, 0);
    streams.erase(stream);
    delete stream;
    return status;
}
EXPORT cuStreamSynchronize(Stream* stream)
{
    ENTER_OUTSIDE("cuStreamSynchronize");
    return streams.count(stream) ? run_until(stream, 0, 0) : (int)InvalidValue;
}
EXPORT cuStreamWaitEvent(Stream* stream, Event* event, unsigned)
{
    ENTER("cuStreamWaitEvent");
    if (!events.count(event)) return InvalidValue;
    if (event->recorded == 0) return Success;
    Operation operation;
    operation.waits_for = event;
    operation.version = event->recorded;
    return push(stream, operation);
}
EXPORT cuEventCreate(Event** event, unsigned)
{
    ENTER("cuEventCreate");
    *event = new Event();
    events.insert(*event);
    return Success;
}
EXPORT cuEventDestroy_v2(Event* event)
{
    ENTER("cuEventDestroy_v2");
    // Kept: a queue may still name it.
    return events.erase(event) ? Success : InvalidValue;
}
EXPORT cuEventRecord(Event* event, Stream* stream)
{
    ENTER("cuEventRecord");
    if (!events.count(event) || !streams.count(stream)) return InvalidValue;
    if (stream->capture) return Success;
    event->of = stream;
    Operation operation;
    operation.records = event;
    operation.version = ++event->recorded;
    return push(stream, operation);
}
EXPORT cuEventSynchronize(Event* event)
{
    ENTER_OUTSIDE("cuEventSynchronize");
    return event->done < event->recorded ? run_until(event->of, event, event->recorded) : (int)Success;
}
EXPORT cuEventQuery(Event* event)
{
    ENTER_OUTSIDE("cuEventQuery");
    return event->done < event->recorded ? NotReady : Success;
}
EXPORT cuEventElapsedTime(float* ms, Event* from, Event* to)
{
    *ms = (float)(to->at - from->at);
    return Success;
}
EXPORT cuModuleLoadData(Module** module, const void* image)
{
    ENTER_OUTSIDE("cuModuleLoadData");
    // The emulated NVRTC prefixes what it compiled with its length.
    uint64_t bytes;
    memcpy(&bytes, image, 8);
    // A name of its own each time: the loader takes a name that it knows for the library that it has.
    char path[] = "/tmp/krewe-kernels-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || write(file, (const char*)image + 8, bytes) != (ssize_t)bytes) return InvalidValue;
    close(file);
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    if (!library)
    {
        last_error = dlerror();
        return 200;
    }
    *module = new Module{library};
    modules.insert(*module);
    return Success;
}
EXPORT cuModuleUnload(Module* module)
{
    ENTER_OUTSIDE("cuModuleUnload");
    // The library stays: a queue may still name its kernels.
    return modules.erase(module) ? Success : InvalidValue;
}
EXPORT cuModuleGetFunction(Function** function, Module* module, const char* name)
{
    ENTER_OUTSIDE("cuModuleGetFunction");
    void* launch = dlsym(module->library, name);
    auto bytes = (int (*)())dlsym(module->library, (std::string(name) + "_argument_bytes").c_str());
    if (!launch || !bytes) return NotFound;
    *function = new Function{(Launcher)launch, bytes(), name};
    return Success;
}
EXPORT cuFuncSetAttribute(Function* function, int attribute, int value)
{
    ENTER_OUTSIDE("cuFuncSetAttribute");
    if (attribute == 8) function->shared_bytes = value;
    return Success;
}
EXPORT cuFuncLoad(Function*) { ENTER_OUTSIDE("cuFuncLoad"); return Success; }
static int launch(
    Function* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
    Stream* stream, void** arguments, void**)
{
    record.back() = "launch " + function->name;
    if (gx < 1 || gy < 1 || gz < 1 || gy > 65535 || gz > 65535 || (int)shared > function->shared_bytes)
        return InvalidValue;
    std::string copied((const char*)arguments[0], function->argument_bytes);
    Operation operation;
    operation.run = [=] {
        const char* error = function->launch(
            copied.data(), {(int)gx, (int)gy, (int)gz}, {(int)bx, (int)by, (int)bz}, shared, order);
        if (!error) return (int)Success;
        last_error = function->name + ": " + error;
        return (int)LaunchFailed;
    };
    return push(stream, operation);
}
EXPORT cuLaunchKernel(
    Function* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
    Stream* stream, void** arguments, void** extra)
{
    ENTER("cuLaunchKernel");
    return launch(function, gx, gy, gz, bx, by, bz, shared, stream, arguments, extra);
}
struct Attribute { int kind, padding, value, rest[15]; };
struct Config { unsigned grid[3], block[3], shared; Stream* stream; Attribute* attributes; unsigned count; };
static_assert(sizeof(Attribute) == 72 && sizeof(Config) == 56, "NVIDIA's sizes");
// Grids run one after the other here, early or not.
EXPORT cuLaunchKernelEx(const Config* config, Function* function, void** arguments, void** extra)
{
    ENTER("cuLaunchKernelEx");
    if (config->count != 1 || config->attributes->kind != 6 || config->attributes->value != 1) return InvalidValue;
    if (compute_major < 9) return 801;
    return launch(
        function, config->grid[0], config->grid[1], config->grid[2], config->block[0], config->block[1], config->block[2],
        config->shared, config->stream, arguments, extra);
}
EXPORT cuStreamBeginCapture_v2(Stream* stream, int)
{
    ENTER_OUTSIDE("cuStreamBeginCapture_v2");
    stream->capture = new Graph();
    stream->broken = false;
    recording = stream;
    return Success;
}
EXPORT cuStreamEndCapture(Stream* stream, Graph** graph)
{
    ENTER("cuStreamEndCapture");
    // Only the thread that began may end it.
    if (recording != stream) return 908;
    Graph* recorded = stream->capture;
    stream->capture = 0;
    recording = 0;
    if (stream->broken)
    {
        delete recorded;
        *graph = 0;
        return 901;
    }
    graphs.insert(*graph = recorded);
    return Success;
}
EXPORT cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, uint64_t)
{
    ENTER_OUTSIDE("cuGraphInstantiateWithFlags");
    *executable = new Graph(*graph);
    graphs.insert(*executable);
    return Success;
}
EXPORT cuGraphLaunch(Graph* graph, Stream* stream)
{
    ENTER("cuGraphLaunch");
    if (!graphs.count(graph)) return 400;
    for (Operation& operation : graph->operations)
        if (int status = push(stream, operation)) return status;
    return Success;
}
EXPORT cuGraphDestroy(Graph* graph)
{
    ENTER("cuGraphDestroy");
    if (!graphs.erase(graph)) return InvalidValue;
    delete graph;
    return Success;
}
EXPORT cuGraphExecDestroy(Graph* graph)
{
    ENTER("cuGraphExecDestroy");
    if (!graphs.erase(graph)) return InvalidValue;
    delete graph;
    return Success;
}
EXPORT cuGetErrorName(int status, const char** name)
{
    *name = status == OutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY" : status == LaunchFailed ? "CUDA_ERROR_LAUNCH_FAILED"
        : status == 100 ? "CUDA_ERROR_NO_DEVICE" : status == InvalidValue ? "CUDA_ERROR_INVALID_VALUE" : "CUDA_ERROR";
    return Success;
}
EXPORT cuGetErrorString(int, const char** text)
{
    static thread_local std::string copy;
    copy = last_error.empty() ? "emulated" : last_error;
    *text = copy.c_str();
    return Success;
}

// What tests ask and set.
EXPORT emulated_record(char* text, int bytes)
{
    Hold held;
    std::string all;
    for (auto& call : record) all += call + "\n";
    if (text) snprintf(text, bytes, "%s", all.c_str());
    return (int)all.size() + 1;
}
EXPORT emulated_forget() { Hold held; record.clear(); return Success; }
EXPORT emulated_fail(const char* call, int after, int status)
{
    Hold held;
    failures.push_back({call, after, status});
    return Success;
}
EXPORT emulated_live(int kind)
{
    Hold held;
    int host = 0, imported = 0;
    for (auto& each : allocations)
    {
        host += each.second.host;
        imported += each.second.imported;
    }
    switch (kind)
    {
        case 0: return (int)allocations.size() - host - imported;
        case 1: return host;
        case 2: return (int)streams.size();
        case 3: return (int)events.size();
        case 4: return (int)modules.size();
        case 6: return imported;
        case 7: return (int)registered.size();
        case 8: return (int)physical.size();
        case 9: return (int)reservations.size();
        default: return (int)graphs.size();
    }
}
EXPORT emulated_virtual(int memory, int rdma, int peer_access)
{
    Hold held;
    has_virtual = memory;
    has_rdma = rdma;
    peers = peer_access;
    return Success;
}
EXPORT emulated_own_handles(int allowed) { Hold held; own_handles = allowed; return Success; }
EXPORT emulated_settings(int fiber_order, int run_at_once, int device_count, int compute, int64_t bytes)
{
    Hold held;
    order = fiber_order;
    eager = run_at_once;
    devices = device_count;
    compute_major = compute / 10;
    compute_minor = compute % 10;
    memory_bytes = bytes;
    sticky = Success;
    lost.clear();
    own_handles = false;
    has_virtual = has_rdma = peers = true;
    failures.clear();
    last_error.clear();
    return Success;
}

bool emulated_inside(const void* at, size_t bytes)
{
    Hold held;
    return is_inside((uintptr_t)at, bytes);
}
bool emulated_direct(const void* at)
{
    Hold held;
    auto found = allocations.find((uintptr_t)at);
    return found != allocations.end() && (!found->second.handle || found->second.rdma);
}
int emulated_call(const char* call)
{
    Hold held;
    return enter(call);
}
void emulated_outside(const std::function<void()>& wait)
{
    int held = depth;
    for (int i = 0; i < held; i++) gate.unlock();
    depth = 0;
    wait();
    for (int i = 0; i < held; i++) gate.lock();
    depth = held;
}
bool emulated_help(void* waiting)
{
    Hold held;
    for (Stream* stream : streams)
    {
        if (stream->device == ((Stream*)waiting)->device || stream->busy || stream->queue.empty()
            || lost.count(stream->device))
            continue;
        run_one(stream);
        return true;
    }
    return false;
}
int emulated_push(void* stream, std::function<int()> run)
{
    Hold held;
    Operation operation;
    operation.run = run;
    return push((Stream*)stream, operation);
}

__attribute__((constructor)) static void read_environment()
{
    if (const char* text = getenv("SIMT_ORDER")) order = atoi(text);
    if (const char* text = getenv("SIMT_EAGER")) eager = atoi(text);
    if (const char* text = getenv("SIMT_DEVICES")) devices = atoi(text);
}
