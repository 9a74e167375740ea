// NVRTC by name and signature, over the system's C++ compiler: the "cubin" is a shared library of kernels for simt.cpp.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "calls.h"

// Set when this file is compiled: where simt.h and simt.o are.
#ifndef EMULATION_SOURCES
#error "EMULATION_SOURCES is not defined"
#endif

#define EXPORT extern "C" __attribute__((visibility("default"))) int

namespace
{
struct Program
{
    std::string source, name, log, image;
    std::vector<std::pair<std::string, std::string>> headers;
};

std::string read(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
}

EXPORT nvrtcVersion(int* major, int* minor) { *major = 12; *minor = 4; return 0; }
EXPORT nvrtcGetNumSupportedArchs(int* count) { *count = 2; return 0; }
EXPORT nvrtcGetSupportedArchs(int* archs) { archs[0] = 80; archs[1] = 90; return 0; }
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(int status)
{
    return status == 6 ? "NVRTC_ERROR_COMPILATION" : status ? "NVRTC_ERROR" : "NVRTC_SUCCESS";
}
EXPORT nvrtcCreateProgram(
    Program** program, const char* source, const char* name, int headers, const char** texts, const char** names)
{
    if (int status = emulated_call("nvrtcCreateProgram")) return status;
    *program = new Program();
    (*program)->source = source;
    (*program)->name = name;
    for (int i = 0; i < headers; i++) (*program)->headers.push_back({names[i], texts[i]});
    return 0;
}
EXPORT nvrtcDestroyProgram(Program** program)
{
    delete *program;
    *program = 0;
    return 0;
}
EXPORT nvrtcCompileProgram(Program* program, int count, const char** options)
{
    if (int status = emulated_call("nvrtcCompileProgram")) return status;
    char folder[] = "/tmp/krewe-emulated-XXXXXX";
    if (!mkdtemp(folder)) return 1;
    std::string at = folder;
    for (auto& header : program->headers) write(at + "/" + header.first, header.second);
    write(at + "/" + program->name, program->source);
    std::string command = "g++ -std=c++17 -O1 -fPIC -shared -w -ffp-contract=off -fno-strict-aliasing -march=native -DKREWE_EMULATED ";
    for (int i = 0; i < count; i++)
        if (!strncmp(options[i], "-D", 2)) command += std::string("'") + options[i] + "' ";
    command += "-I" + at + " -I" EMULATION_SOURCES " -x c++ " + at + "/" + program->name + " -x none"
        + " " EMULATION_SOURCES "/simt.o " EMULATION_SOURCES "/wgmma.o -o " + at + "/kernels.so > " + at + "/log 2>&1";
    int status = system(command.c_str());
    program->log = read(at + "/log");
    std::string library = read(at + "/kernels.so");
    uint64_t bytes = library.size();
    program->image.assign((const char*)&bytes, 8);
    program->image += library;
    (void)!system(("rm -rf " + at).c_str());
    return status == 0 ? 0 : 6;
}
EXPORT nvrtcGetProgramLogSize(Program* program, size_t* bytes) { *bytes = program->log.size() + 1; return 0; }
EXPORT nvrtcGetProgramLog(Program* program, char* log) { strcpy(log, program->log.c_str()); return 0; }
EXPORT nvrtcGetCUBINSize(Program* program, size_t* bytes) { *bytes = program->image.size(); return 0; }
EXPORT nvrtcGetCUBIN(Program* program, char* image)
{
    memcpy(image, program->image.data(), program->image.size());
    return 0;
}
EXPORT nvrtcGetPTXSize(Program* program, size_t* bytes) { return nvrtcGetCUBINSize(program, bytes); }
EXPORT nvrtcGetPTX(Program* program, char* image) { return nvrtcGetCUBIN(program, image); }
