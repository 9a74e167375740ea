using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// Runs a Llama-like transformer on NVIDIA GPUs: one, or several that have some of the heads each and exchange their
/// sums (<see cref="CudaRank"/>). Weights, activations and KV in BF16 or F16, sums in FP32.
/// </summary>
internal sealed partial class CudaModelRunner : IAheadRunner
{
    private readonly ModelConfig _config;
    private readonly CudaOptions _options;
    private readonly List<CudaRank> _ranks = [];
    private readonly List<IDisposable> _owned = [];
    private readonly ComputeThreads? _threads;

    /// <summary>What left one rank with work queued that others have not; from then on there is nothing to be had of
    /// them. Null: they are together.</summary>
    private Exception? _apart;

    private CudaModelRunner(
        ModelFolder model, KvGeometry geometry, long kvMemoryBytes, ServedWeights form, CudaOptions options,
        bool shareKv)
    {
        (_config, _options) = (model.Config, options);
        var libraries = LibrariesOf(options);
        var ranks = options.Devices.Count;
        CudaShard.Demand(_config, ranks);
        try
        {
            var driver = CudaDriver.Load(libraries);
            var compiler = Nvrtc.Load(libraries, driver);
            var cache = new KernelCache(options.CacheDirectory ?? KernelCache.UsualDirectory());
            var collectives = ranks > 1 ? Nccl.Load(libraries) : null;
            var id = collectives?.CreateId() ?? [];
            if (ranks > 1) _threads = Own(new ComputeThreads(ranks, ownSharesOnly: true));
            var places = new Place[ranks];
            for (var rank = 0; rank < ranks; rank++)
            {
                var device = Own(driver.Open(options.Devices[rank]));
                var (kernels, reason) = AttentionChoice.Compile(
                    device, compiler, cache, ModelRunners.CudaKernelsFor(_config, geometry.Format), options.Attention);
                Own(kernels).Overlap = options.Overlap;
                if (reason is not null) AttentionReasons.Add($"GPU {device.Info.Ordinal}: {reason}");
                places[rank] = new Place(device, kernels, options.Products == CudaProducts.CublasLt
                    ? Own(new CublasLt(device, libraries, kernels.Options.Format))
                    : null);
            }

            Overlaps = places[0].Kernels.Overlap;
            var others = Meet(collectives, id, places);
            for (var rank = 0; rank < ranks; rank++)
            {
                _ranks.Add(Own(new CudaRank(
                    model, places[rank].Device, places[rank].Kernels, places[rank].Library, others[rank],
                    KvShards.Of(geometry, ranks), kvMemoryBytes / ranks, form, new CudaShard(rank, ranks), options)));
            }

            var sharded = ranks > 1
                ? Own(new ShardedKvArena([.. _ranks.Select(rank => rank.Arena)], geometry))
                : null;
            Kv = sharded as IKvArena ?? _ranks[0].Arena;
            if (shareKv) ShareRefusal = sharded is null ? _ranks[0].Arena.Share() : sharded.Share();
            // Not the target: by wgmma the bits are the same, or it is not used.
            var path = places[0].Kernels.Architecture
                + (places[0].Library is { } library ? $"/cublaslt{library.Version}" : "")
                + (ranks > 1 ? $"/tp{ranks}" : "");
            Numerics = new NumericsFingerprint(
                "cuda", path, CudaKernels.Version, _ranks[0].WeightFormats, geometry.Format);
        }
        catch
        {
            Release();
            throw;
        }
    }

    public int VocabularySize => _config.VocabularySize;

    public int MaxContextTokens => _config.MaxPositions;

    public NumericsFingerprint Numerics { get; }

    public IKvArena Kv { get; }

    /// <summary>Why other workers of the host cannot open the KV memory; null: they can, or were not to.</summary>
    public string? ShareRefusal { get; }

    /// <summary>Why KV memory is plain (<see cref="CudaKvMemory"/>); null: it is not, or was to be.</summary>
    public string? PlainMemoryReason =>
        _ranks.Select(rank => rank.Arena.PlainReason).FirstOrDefault(reason => reason is not null);

    /// <summary>By what each Hopper GPU multiplies in prefill attention, and why.</summary>
    public List<string> AttentionReasons { get; } = [];

    /// <summary>Whether kernels begin while those before them end.</summary>
    internal bool Overlaps { get; }

    /// <summary>Recorded graphs of the first GPU.</summary>
    internal int GraphCount => _ranks[0].GraphCount;

    /// <exception cref="KreweException">A GPU or library is missing or, DeviceBusy, not to be had for now; or an option
    /// does not fit the model.</exception>
    public static CudaModelRunner Create(
        ModelFolder model, KvGeometry geometry, long kvMemoryBytes, ServedWeights form, CudaOptions options,
        bool shareKv = false)
    {
        try
        {
            return new CudaModelRunner(model, geometry, kvMemoryBytes, form, options, shareKv);
        }
        catch (CudaException error)
        {
            throw new KreweException(
                error.IsPassing ? ErrorCode.DeviceBusy : ErrorCode.DeviceUnavailable,
                $"--device cuda: {error.Message}{Advice(error, kvMemoryBytes)}", innerException: error);
        }
    }

    /// <summary>Where the options say that NVIDIA's libraries are.</summary>
    public static CudaLibraries LibrariesOf(CudaOptions options) => new(
        options.LibraryDirectories.Count > 0 ? options.LibraryDirectories : CudaLibraries.FromEnvironment());

    /// <summary>Whether KV memory is to be such that a disk can write into it.</summary>
    internal static bool WantsDirect(CudaOptions options) => options.Devices.Count == 1
        && (options.DirectStorage == DirectStorage.On
            || (options.DirectStorage == DirectStorage.Auto && CuFile.HasKernelDriver));

    /// <summary>
    /// Has KV objects come from disk past the host, where the options and the machine allow it. Why they do not; null:
    /// they do.
    /// </summary>
    /// <exception cref="KreweException">It was demanded and cannot be.</exception>
    public string? OpenDirect()
    {
        if (_options.DirectStorage == DirectStorage.Off) return "--cuda-direct-storage is off";
        var refusal = _ranks.Count > 1 ? "a block lies on several GPUs"
            : _options.DirectStorage == DirectStorage.Auto && !CuFile.HasKernelDriver
                ? "the kernel driver nvidia-fs is not there"
                : _ranks[0].Arena.OpenDirect(LibrariesOf(_options));
        return refusal is null || _options.DirectStorage == DirectStorage.Auto
            ? refusal
            : throw new KreweException(ErrorCode.DeviceUnavailable, $"--cuda-direct-storage on: {refusal}");
    }

    public void Run(StepBatch batch)
    {
        DemandTogether();
        if (_underWay.Count > 0) throw new InvalidOperationException("A step while others are under way.");
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, Kv);
        if (batch.RowCount == 0) return;
        var wantsLogits = batch.WantsLogits;
        try
        {
            if (_threads is null) Step(_ranks[0], batch, wantsLogits);
            else RunRanks(batch, wantsLogits);
            TakeResults(batch, wantsLogits);
        }
        catch (Exception error) when (IsLost(error))
        {
            throw Lost(error);
        }
    }

    public void Dispose() => Release();

    private static string Advice(CudaException error, long kvMemoryBytes)
    {
        const int OutOfMemory = 2;
        return error.Status == OutOfMemory
            ? $" KV takes {kvMemoryBytes} bytes: give it less (--kv-memory), or the model more GPUs (--cuda-devices)."
            : "";
    }

    private bool IsLost(Exception error) => _apart is not null || error is CudaException { IsContextLost: true };

    private DeviceLostException Lost(Exception error) => _apart is { } first
        ? new($"The worker's GPUs are out of step: {first.Message}", first)
        : new($"A GPU is lost: {error.Message}", error);

    private void DemandTogether()
    {
        if (_apart is { } first) throw Lost(first);
    }

    private static void Step(CudaRank rank, StepBatch batch, bool wantsLogits)
    {
        try
        {
            rank.Prepare(batch);
            rank.Queue(wantsLogits, batch.Gate, batch.Observer);
            rank.Wait();
        }
        catch
        {
            Abandon(rank);
            throw;
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "The step's own error is on its way and says more.")]
    private static Exception? Abandon(CudaRank rank)
    {
        try
        {
            rank.Abandon();
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    private void RunRanks(StepBatch batch, bool wantsLogits)
    {
        var (gate, observer) = (batch.Gate, batch.Observer);
        RunRanks(
            rank => rank.Prepare(batch),
            (rank, index, meeting) =>
            {
                rank.Queue(
                    wantsLogits, gate is null ? null : meeting.Gate(gate, index),
                    observer is null ? null : meeting.Observer(observer, index));
                rank.Wait();
            });
    }

    /// <summary>
    /// Has all ranks prepare and, when all of them could, queue or wait. What fails then, but for a gate or observer,
    /// leaves them apart: one would wait in an exchange for the other for ever. So they are told to end, and the worker
    /// does.
    /// </summary>
    private void RunRanks(Action<CudaRank> prepare, Action<CudaRank, int, RankMeeting> queue)
    {
        using var meeting = new RankMeeting(_ranks.Count);
        try
        {
            _threads!.Run(new RankProgram(index => prepare(_ranks[index]), index => Queue(index)));
        }
        catch when (meeting.Failure is { } first)
        {
            ExceptionDispatchInfo.Throw(first);
            throw;
        }

        void Queue(int index)
        {
            try
            {
                queue(_ranks[index], index, meeting);
            }
            catch (Exception error)
            {
                meeting.Fail(error);
                if (meeting.WhatParts(error) is { } cause) Part(cause);
                if (Abandon(_ranks[index]) is { } later) Part(later);
                throw;
            }
        }

        void Part(Exception cause)
        {
            Interlocked.CompareExchange(ref _apart, cause, null);
            foreach (var rank in _ranks) rank.LeaveOthers();
        }
    }

    private unsafe void TakeResults(StepBatch batch, bool wantsLogits)
    {
        var first = _ranks[0];
        var size = VocabularySize;
        if (wantsLogits)
        {
            new ReadOnlySpan<float>(first.Memory.PinnedLogits, batch.LogitRowCount * size)
                .CopyTo(batch.ReserveLogits(size));
        }

        var sampled = first.Sampled(older: false, batch.LogitRowCount);
        for (var row = 0; row < batch.LogitRowCount; row++)
        {
            if (batch.DrawOf(row) is null) continue;
            var token = sampled[row];
            if (token >= 0) batch.SetSampled(row, token);
            else if (!wantsLogits) first.Fetch(row, batch.ReserveLogits(size).Slice(row * size, size));
        }
    }

    private NcclRank?[] Meet(Nccl? collectives, byte[] id, Place[] places)
    {
        var others = new NcclRank?[places.Length];
        if (collectives is null) return others;
        // Each returns when all have come: on the ranks' own threads.
        _threads!.Run(new RankProgram(
            rank => others[rank] = collectives.Join(places[rank].Device, id, rank, places.Length)));
        foreach (var other in others) Own(other!);
        return others;
    }

    private void Release()
    {
        for (var i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        _owned.Clear();
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    private sealed record Place(CudaDevice Device, CudaKernels Kernels, CublasLt? Library);

    private sealed class RankProgram(params Action<int>[] phases) : IStepProgram
    {
        public int PhaseCount => phases.Length;

        public void RunPhase(int phase, int share) => phases[phase](share);
    }
}
