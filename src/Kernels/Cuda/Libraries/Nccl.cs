using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>
/// NCCL between the GPUs of one worker. Only gathering: its sums would depend on the size of a message and the shape of
/// the machine, so ranks exchange their parts and every rank adds them in the same order itself.
/// </summary>
public sealed unsafe class Nccl
{
    /// <summary>What ranks must know of each other to meet.</summary>
    public const int IdBytes = 128;

    private const int Float32 = 7;

    private readonly delegate* unmanaged<Id*, int> _getUniqueId;
    private readonly delegate* unmanaged<nint*, int, Id, int, int> _join;
    private readonly delegate* unmanaged<nint, int> _leave;
    private readonly delegate* unmanaged<nint, int> _abort;
    private readonly delegate* unmanaged<nint, nint, nuint, int, nint, nint, int> _allGather;
    private readonly delegate* unmanaged<int, byte*> _getErrorString;

    private Nccl(nint library)
    {
        var table = new FunctionTable(library, CudaLibrary.Collectives);
        _getUniqueId = (delegate* unmanaged<Id*, int>)table["ncclGetUniqueId"];
        _join = (delegate* unmanaged<nint*, int, Id, int, int>)table["ncclCommInitRank"];
        _leave = (delegate* unmanaged<nint, int>)table["ncclCommDestroy"];
        _abort = (delegate* unmanaged<nint, int>)table["ncclCommAbort"];
        _allGather = (delegate* unmanaged<nint, nint, nuint, int, nint, nint, int>)table["ncclAllGather"];
        _getErrorString = (delegate* unmanaged<int, byte*>)table["ncclGetErrorString"];
        table.Demand();
    }

    /// <exception cref="CudaException">The library is missing.</exception>
    public static Nccl Load(CudaLibraries libraries)
    {
        ArgumentNullException.ThrowIfNull(libraries);
        return new Nccl(libraries.Load(CudaLibrary.Collectives));
    }

    public byte[] CreateId()
    {
        Id id;
        Check(_getUniqueId(&id), "ncclGetUniqueId", "");
        return new Span<byte>(id.Bytes, IdBytes).ToArray();
    }

    /// <summary>Meets the other ranks; returns when all have come. Call it on a thread of the rank's own.</summary>
    public NcclRank Join(CudaDevice device, ReadOnlySpan<byte> id, int rank, int ranks)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfNotEqual(id.Length, IdBytes);
        device.MakeCurrent();
        Id copy;
        id.CopyTo(new Span<byte>(copy.Bytes, IdBytes));
        nint communicator;
        Check(_join(&communicator, ranks, copy, rank), "ncclCommInitRank", $"rank {rank} of {ranks}");
        return new NcclRank(this, communicator, rank, ranks);
    }

    internal void AllGather(nint communicator, nint source, nint target, long floats, CudaStream stream) => Check(
        _allGather(source, target, (nuint)floats, Float32, communicator, stream.Handle), "ncclAllGather",
        $"{floats} floats");

    internal void Leave(nint communicator) => Check(_leave(communicator), "ncclCommDestroy", "");

    /// <summary>Its status says nothing that anybody could act on.</summary>
    internal void Abort(nint communicator) => _ = _abort(communicator);

    private void Check(int status, string call, string what)
    {
        if (status != 0)
            throw new CudaException(call, status, Marshal.PtrToStringUTF8((nint)_getErrorString(status)) ?? "", what);
    }

    private struct Id
    {
        public fixed byte Bytes[IdBytes];
    }
}

/// <summary>One GPU's place among those that compute a model together.</summary>
public sealed class NcclRank(Nccl library, nint communicator, int rank, int ranks) : IDisposable
{
    /// <summary>Longer than queueing takes; a call that does not return before is stuck, and an abort frees it.</summary>
    private static readonly TimeSpan QueueingMax = TimeSpan.FromMilliseconds(100);

    private nint _communicator = communicator;
    private int _inside;

    public int Rank { get; } = rank;

    public int Ranks { get; } = ranks;

    /// <summary>target = the source of rank 0, of rank 1 ..., <paramref name="floats"/> each, on every rank.</summary>
    public void AllGather(CudaStream stream, nint source, nint target, long floats)
    {
        // First: whoever takes the communicator away sees either this, or is seen here.
        Interlocked.Increment(ref _inside);
        try
        {
            var communicator = Volatile.Read(ref _communicator);
            ObjectDisposedException.ThrowIf(communicator == 0, this);
            library.AllGather(communicator, source, target, floats, stream);
        }
        finally
        {
            Interlocked.Decrement(ref _inside);
        }
    }

    /// <summary>
    /// For good: what is queued ends without the others, who may never come. Any thread; the rank is of no use then.
    /// </summary>
    public void Abort()
    {
        if (Interlocked.Exchange(ref _communicator, 0) is not (not 0 and var communicator)) return;
        SpinWait.SpinUntil(() => Volatile.Read(ref _inside) == 0, QueueingMax);
        library.Abort(communicator);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _communicator, 0) is not 0 and var communicator) library.Leave(communicator);
    }
}
