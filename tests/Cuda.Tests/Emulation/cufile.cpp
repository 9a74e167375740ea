// cuFile by name and signature: files are read into the emulated GPU's memory, which is the host's. Refuses what the
// library would: a file or memory that it was not told of, bytes outside.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <string>

#include "calls.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace
{
enum { Success = 0, NotInitialized = 5001, InvalidFileType = 5011, AlreadyRegistered = 5015, InvalidValue = 5022 };

struct Status { int error, driver; };
struct Description { int type; union { int fd; void* handle; } file; const void* operations; };

std::mutex gate;
int opened = 0;
std::map<void*, int> files;
std::map<const char*, size_t> buffers;

Status answer(const char* call, int otherwise)
{
    int status = emulated_call(call);
    return {status ? status : otherwise, 0};
}
}

EXPORT Status cuFileDriverOpen()
{
    Status status = answer("cuFileDriverOpen", Success);
    if (!status.error) opened++;
    return status;
}
EXPORT Status cuFileDriverClose_v2()
{
    if (opened > 0) opened--;
    return answer("cuFileDriverClose", Success);
}
EXPORT Status cuFileHandleRegister(void** handle, const Description* description)
{
    std::lock_guard<std::mutex> held(gate);
    if (!opened) return {NotInitialized, 0};
    if (description->type != 1 || description->operations) return {InvalidFileType, 0};
    // A descriptor of its own, through the page cache: direct I/O would ask for aligned memory.
    int fd = open(("/proc/self/fd/" + std::to_string(description->file.fd)).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {InvalidValue, 0};
    Status status = answer("cuFileHandleRegister", Success);
    if (status.error)
    {
        close(fd);
        return status;
    }
    *handle = new char;
    files[*handle] = fd;
    return status;
}
EXPORT void cuFileHandleDeregister(void* handle)
{
    std::lock_guard<std::mutex> held(gate);
    emulated_call("cuFileHandleDeregister");
    auto found = files.find(handle);
    if (found == files.end()) return;
    close(found->second);
    files.erase(found);
    delete (char*)handle;
}
EXPORT Status cuFileBufRegister(const char* memory, size_t bytes, int)
{
    std::lock_guard<std::mutex> held(gate);
    if (!opened) return {NotInitialized, 0};
    if (!emulated_inside(memory, bytes) || !emulated_direct(memory)) return {InvalidValue, 0};
    if (buffers.count(memory)) return {AlreadyRegistered, 0};
    Status status = answer("cuFileBufRegister", Success);
    if (!status.error) buffers[memory] = bytes;
    return status;
}
EXPORT Status cuFileBufDeregister(const char* memory)
{
    std::lock_guard<std::mutex> held(gate);
    return answer("cuFileBufDeregister", buffers.erase(memory) ? Success : InvalidValue);
}
EXPORT ssize_t cuFileRead(void* handle, char* memory, size_t bytes, off_t at, off_t start)
{
    std::lock_guard<std::mutex> held(gate);
    if (int status = emulated_call("cuFileRead")) return -status;
    auto file = files.find(handle);
    auto buffer = buffers.find(memory);
    if (file == files.end() || buffer == buffers.end() || start + bytes > buffer->second) return -InvalidValue;
    return pread(file->second, memory + start, bytes, at);
}
// Files and memory that it knows.
EXPORT int emulated_files() { return (int)(files.size() + buffers.size()) + opened; }
