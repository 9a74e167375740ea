using System.Runtime.InteropServices;

namespace Krewe.KvStore.Devices.Uring;

/// <summary>
/// One submission ring and one completion ring shared with the kernel. Belongs to the thread that made it: the kernel
/// then skips its locks, and completions are delivered only inside <see cref="Enter"/>.
/// </summary>
internal sealed unsafe class UringRing : IDisposable
{
    private readonly int _descriptor;
    private readonly byte* _rings;
    private readonly nuint _ringsBytes;
    private readonly SubmissionEntry* _entries;
    private readonly nuint _entriesBytes;
    private readonly UringParameters _parameters;
    private readonly uint _submissionMask;
    private readonly uint _completionMask;
    private uint _tail;

    private UringRing(int descriptor, in UringParameters parameters, byte* rings, nuint ringsBytes,
        SubmissionEntry* entries, nuint entriesBytes)
    {
        _descriptor = descriptor;
        _parameters = parameters;
        _rings = rings;
        _ringsBytes = ringsBytes;
        _entries = entries;
        _entriesBytes = entriesBytes;
        _submissionMask = *(uint*)(rings + parameters.Submission.RingMask);
        _completionMask = *(uint*)(rings + parameters.Completion.RingMask);
        // Entry i is always announced in place i of the ring: the indirection has no use here.
        var array = (uint*)(rings + parameters.Submission.Array);
        for (var i = 0u; i < parameters.SubmissionEntries; i++) array[i] = i;
    }

    /// <summary>Makes a ring, or says why the kernel refused.</summary>
    public static UringRing? TryCreate(int entries, out string? refusal)
    {
        // Kernels before 6.1 do not know the two task flags; the ring works without them.
        var descriptor = Setup(
            entries, UringAbi.SetupSingleIssuer | UringAbi.SetupDeferTaskRun | UringAbi.SetupClamp, out var parameters);
        if (descriptor == -NativeMethods.InvalidArgument)
            descriptor = Setup(entries, UringAbi.SetupClamp, out parameters);
        if (descriptor < 0)
        {
            refusal = $"the kernel refuses io_uring ({Marshal.GetPInvokeErrorMessage(-descriptor)})";
            return null;
        }

        var submissionBytes = parameters.Submission.Array + parameters.SubmissionEntries * sizeof(uint);
        var completionBytes =
            parameters.Completion.Entries + parameters.CompletionEntries * (uint)sizeof(CompletionEntry);
        var ringsBytes = (nuint)Math.Max(submissionBytes, completionBytes);
        var entriesBytes = parameters.SubmissionEntries * (nuint)sizeof(SubmissionEntry);
        var rings = (parameters.Features & UringAbi.FeatureSingleMap) == 0
            ? null
            : Map(descriptor, ringsBytes, UringAbi.OffsetRings);
        var slots = rings is null ? null : Map(descriptor, entriesBytes, UringAbi.OffsetEntries);
        if (slots is null)
        {
            if (rings is not null) _ = NativeMethods.Unmap(rings, ringsBytes);
            _ = NativeMethods.Close(descriptor);
            refusal = "the kernel's io_uring is older than 5.4 or its rings cannot be mapped";
            return null;
        }

        refusal = null;
        return new UringRing(descriptor, parameters, rings, ringsBytes, (SubmissionEntry*)slots, entriesBytes);
    }

    /// <summary>The next free entry, zeroed. The caller never has more in flight than the ring has entries.</summary>
    public ref SubmissionEntry Next()
    {
        ref var entry = ref _entries[_tail & _submissionMask];
        entry = default;
        _tail++;
        return ref entry;
    }

    /// <summary>Hands all new entries to the kernel and waits for at least one completion.</summary>
    /// <returns>Zero, or the error number. An interrupted wait is no error.</returns>
    public int Enter()
    {
        Volatile.Write(ref *(uint*)(_rings + _parameters.Submission.Tail), _tail);
        var submit = _tail - Volatile.Read(ref *(uint*)(_rings + _parameters.Submission.Head));
        var result = NativeMethods.Syscall(
            UringAbi.EnterCall, _descriptor, (nint)submit, 1, (nint)UringAbi.EnterGetEvents, 0, 0);
        if (result >= 0) return 0;
        var error = Marshal.GetLastPInvokeError();
        return error is NativeMethods.Interrupted or NativeMethods.TryAgain or NativeMethods.Busy ? 0 : error;
    }

    /// <summary>Takes one completion, if there is one.</summary>
    public bool TryReap(out CompletionEntry completion)
    {
        ref var head = ref *(uint*)(_rings + _parameters.Completion.Head);
        var position = head;
        if (position == Volatile.Read(ref *(uint*)(_rings + _parameters.Completion.Tail)))
        {
            completion = default;
            return false;
        }

        completion = ((CompletionEntry*)(_rings + _parameters.Completion.Entries))[position & _completionMask];
        Volatile.Write(ref head, position + 1);
        return true;
    }

    /// <summary>The register call; returns zero or more, or the negated error number.</summary>
    public int Register(uint operation, void* argument, uint count)
    {
        var result = NativeMethods.Syscall(
            UringAbi.RegisterCall, _descriptor, (nint)operation, (nint)argument, (nint)count, 0, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : (int)result;
    }

    public void Dispose()
    {
        _ = NativeMethods.Unmap(_entries, _entriesBytes);
        _ = NativeMethods.Unmap(_rings, _ringsBytes);
        _ = NativeMethods.Close(_descriptor);
    }

    private static int Setup(int entries, uint flags, out UringParameters parameters)
    {
        var request = new UringParameters { Flags = flags };
        var descriptor = (int)NativeMethods.Syscall(UringAbi.SetupCall, entries, (nint)(&request), 0, 0, 0, 0);
        parameters = request;
        return descriptor < 0 ? -Marshal.GetLastPInvokeError() : descriptor;
    }

    private static byte* Map(int descriptor, nuint length, long offset)
    {
        const int ReadWrite = 3;
        const int SharedPopulated = 0x1 | 0x8000;
        var address = NativeMethods.Map(null, length, ReadWrite, SharedPopulated, descriptor, offset);
        return (nint)address == -1 ? null : (byte*)address;
    }
}
