// What the emulated libraries share.
#pragma once
#include <stddef.h>

#include <functional>

// Records a call; what it fails with, where a test wants that.
int emulated_call(const char* call);
// Queues work on an emulated stream.
int emulated_push(void* stream, std::function<int()> run);
// Whether all of it is in one live allocation.
bool emulated_inside(const void* at, size_t bytes);
// Whether other devices may write to the allocation that begins there.
bool emulated_direct(const void* at);
// Waits for another thread without keeping it out of the driver.
void emulated_outside(const std::function<void()>& wait);
// Runs some work of another GPU than the stream's, for whoever waits for it: GPUs work by themselves, this one does not.
bool emulated_help(void* waiting);
