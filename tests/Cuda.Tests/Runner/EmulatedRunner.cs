using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Kernels.Cuda;
using Krewe.Models;
using Krewe.Workers;
using Krewe.Workers.Tests.Runner;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>The bundled model on the emulated GPU, and on the CPU beside it.</summary>
internal sealed class EmulatedRunner : IDisposable
{
    private const long KvMemoryBytes = 2 << 20;

    private readonly List<IDisposable> _owned = [];

    public EmulatedRunner()
    {
        Emulator = new Emulator(new CudaLibraries([EmulatedLibraries.Directory]));
        Emulator.Set();
        Emulator.Forget();
        Model = TinyModel.Open();
    }

    public static CudaOptions Options { get; } = new()
    {
        LibraryDirectories = [EmulatedLibraries.Directory],
        CacheDirectory = EmulatedLibraries.CacheDirectory,
        // Trying wgmma takes the emulator a second at every start; WgmmaRunnerTests do it.
        Attention = CudaAttention.Mma,
    };

    public Emulator Emulator { get; }

    public ModelFolder Model { get; }

    public CudaModelRunner Create(
        CudaOptions? options = null, ServedWeights weights = ServedWeights.Stored, bool shareKv = false,
        KvFormat? kvFormat = null) =>
        Own((CudaModelRunner)ModelRunners.Create(
            Model, WorkerDevice.Cuda, kvFormat, 16, KvMemoryBytes, threads: 1, weights,
            shareKv: shareKv, cuda: options ?? Options));

    public IModelRunner CreateCpu(ServedWeights weights = ServedWeights.Stored) => Own(ModelRunners.Create(
        Model, WorkerDevice.Cpu, kvFormat: null, 16, KvMemoryBytes, threads: 1, weights));

    public int[] Prompt(string question) =>
        [.. Model.Tokenizer.Encode(TinyModel.Prompt(question), addSpecialTokens: false)];

    public static int[] Blocks(IModelRunner runner, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, runner.Kv.BlockCount).OrderBy(_ => random.Next())];
    }

    /// <summary>Any bytes in these blocks: what a test moves need not have been computed.</summary>
    public static void Fill(IModelRunner runner, params int[] blocks)
    {
        var (bytes, random) = (new byte[runner.Kv.Geometry.BlockBytes], new Random(blocks.Length));
        foreach (var block in blocks)
        {
            random.NextBytes(bytes);
            runner.Kv.CopyIn(new BlockId(block), bytes);
        }
    }

    public static byte[] Bytes(IModelRunner runner, int block)
    {
        var bytes = new byte[runner.Kv.Geometry.BlockBytes];
        runner.Kv.CopyOut(new BlockId(block), bytes);
        return bytes;
    }

    /// <summary>The source's memory as the target opens it, without a link.</summary>
    public static IPeerDevice? OpenPeer(CudaModelRunner target, CudaModelRunner source, out string reason)
    {
        var (offer, holder) = (new SharedOffer(), (IDeviceKvArena)source.Kv);
        offer.Devices.AddRange(holder.Offered);
        return ((IDeviceKvArena)target.Kv).TryOpen(offer, [.. holder.Files], out reason);
    }

    public static uint[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToUInt32Bits);

    public void Dispose()
    {
        Emulator.Set();
        for (var i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        Model.Dispose();
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}
