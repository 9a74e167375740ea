namespace Krewe.KvStore.Devices.Uring;

/// <summary>The ring's thread.</summary>
internal sealed unsafe partial class UringDevice
{
    private const ulong WakeTag = ulong.MaxValue;

    private void Run(TaskCompletionSource<string?> started)
    {
        // One entry more than I/Os in flight: the wake-up read is always there.
        using var ring = UringRing.TryCreate(QueueDepth + 1, out var refusal);
        if (ring is null)
        {
            Close();
            started.SetResult(refusal);
            return;
        }

        _registrations.Prepare(ring);
        started.SetResult(null);
        ArmWake(ring);
        while (TakeWork(ring))
        {
            var error = ring.Enter();
            if (error != 0)
            {
                FailAll(BlockIoErrors.FromErrno(error, "The io_uring ring broke; restart the worker"));
                break;
            }

            while (ring.TryReap(out var completion)) Reap(ring, completion);
        }

        Close();
    }

    private void Close()
    {
        _ = NativeMethods.Close(_wakeDescriptor);
        ((IDisposable)_wakeBuffer).Dispose();
        _stopped.SetResult();
    }

    /// <summary>Moves queued work to the ring. False when the device stops and nothing is under way any more.</summary>
    private bool TakeWork(UringRing ring)
    {
        RingCommand[] commands;
        bool goOn;
        lock (_gate)
        {
            commands = [.. _commands];
            _commands.Clear();
            while (_freeTags.Count > 0 && _waiting.TryDequeue(out var operation)) Prepare(ring, operation);
            // The wake-up read of a stopping device is not armed again, so its buffer may be freed once it has ended.
            goOn = !_stopping || _wakeSent || _freeTags.Count < QueueDepth || _waiting.Count > 0;
        }

        foreach (var command in commands) command.Run(ring);
        return goOn;
    }

    private void Prepare(UringRing ring, UringOperation operation)
    {
        var tag = _freeTags.Pop();
        _inFlight[tag] = operation;
        ref var entry = ref ring.Next();
        entry.UserData = (ulong)tag;
        entry.Operation = operation.Code;
        entry.File = operation.Segment.FixedIndex ?? operation.Segment.Descriptor;
        entry.Flags = operation.Segment.FixedIndex is null ? (byte)0 : UringAbi.FlagFixedFile;
        if (operation.Code == UringAbi.OpFsync)
        {
            entry.OperationFlags = UringAbi.FsyncDataOnly;
            return;
        }

        var address = (nint)operation.Memory.Pointer + operation.Done;
        entry.Offset = (ulong)(operation.Offset + operation.Done);
        entry.Address = (ulong)address;
        entry.Length = (uint)(operation.Length - operation.Done);
        if (_registrations.FindMemory(address, (int)entry.Length) is not { } buffer) return;
        entry.Operation = operation.Code == UringAbi.OpRead ? UringAbi.OpReadFixed : UringAbi.OpWriteFixed;
        entry.BufferIndex = (ushort)buffer;
    }

    private void Reap(UringRing ring, in CompletionEntry completion)
    {
        if (completion.UserData == WakeTag)
        {
            lock (_gate)
            {
                _wakeSent = false;
                if (_stopping) return;
            }

            ArmWake(ring);
            return;
        }

        var tag = (int)completion.UserData;
        var operation = _inFlight[tag]!;
        _inFlight[tag] = null;
        _freeTags.Push(tag);
        Conclude(operation, completion.Result);
    }

    /// <summary>
    /// Ends the operation, or queues the rest of it: the kernel may do less than asked, or ask to come back.
    /// </summary>
    private void Conclude(UringOperation operation, int result)
    {
        var path = operation.Segment.Path;
        if (result is -NativeMethods.TryAgain or -NativeMethods.Interrupted)
        {
            lock (_gate) _waiting.Enqueue(operation);
        }
        else if (result < 0)
        {
            operation.Complete(BlockIoErrors.FromErrno(-result, $"I/O on '{path}' at offset {operation.Offset:N0}"));
        }
        else if (operation.Done + result == operation.Length)
        {
            operation.Complete(null);
        }
        else if (result == 0)
        {
            operation.Complete(
                BlockIoErrors.Truncated(path, operation.Offset, operation.Length, operation.Done));
        }
        else
        {
            operation.Done += result;
            lock (_gate) _waiting.Enqueue(operation);
        }
    }

    private void ArmWake(UringRing ring)
    {
        ref var entry = ref ring.Next();
        entry.Operation = UringAbi.OpRead;
        entry.File = _wakeDescriptor;
        entry.Address = (ulong)_wakeBuffer.Address;
        entry.Length = sizeof(ulong);
        entry.UserData = WakeTag;
    }

    private void FailAll(Exception failure)
    {
        List<UringOperation> lost;
        List<RingCommand> commands;
        lock (_gate)
        {
            _failure = failure;
            lost = [.. _waiting, .. _inFlight.OfType<UringOperation>()];
            commands = [.. _commands];
            _waiting.Clear();
        }

        foreach (var operation in lost) operation.Complete(failure);
        foreach (var command in commands) command.Completion.SetException(failure);
    }
}
