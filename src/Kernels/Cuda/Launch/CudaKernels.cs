namespace Krewe.Kernels.Cuda;

/// <summary>
/// The kernels of one model on one GPU, by the names of the CPU's. Every call queues one launch (attention of long
/// contexts two) and checks its shapes first. <c>rows</c> is the room of a grid; the rows that are computed are what
/// the device memory at <c>count</c> says, so that a recorded launch serves any smaller step.
/// </summary>
public sealed partial class CudaKernels : IDisposable
{
    /// <summary>Raised with every change of Sources/ that may change a bit of any result.</summary>
    public const int Version = 2;

    /// <summary>The one architecture with wgmma: Hopper.</summary>
    public const int WgmmaArchitecture = 90;

    /// <summary>Up to so many rows a product streams its weights once; beyond, tiles of 128 x 128 share them.</summary>
    public const int FewRows = 64;

    private const int RowThreads = 256;
    private const int NormThreads = 1024;
    private const int SampleThreads = 1024;

    /// <summary>So many weights of 2^45 fit into 64 bits, and so many ids into 22, as <c>sample</c> wants.</summary>
    private const int VocabularyMax = (1 << 19) - 1;
    private const int TileOutputs = 128;
    private const int TileRows = 128;

    private readonly CudaModule _module;

    /// <summary>Compiles the kernels, or takes them from the cache, and loads them.</summary>
    /// <param name="sources">Null = <see cref="KernelSources.All"/>.</param>
    /// <exception cref="CudaException">They do not compile, or the GPU cannot run them for this model.</exception>
    public CudaKernels(
        CudaDevice device, Nvrtc compiler, KernelCache cache, KernelOptions options,
        IReadOnlyList<KernelSource>? sources = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(compiler);
        ArgumentNullException.ThrowIfNull(cache);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Refusal() is { } refusal) throw new CudaException(refusal);
        Options = options;
        if (DecodeSharedBytes > device.Info.SharedBytesMax)
        {
            throw new CudaException(
                $"Attention with heads of {options.HeadDim} needs {DecodeSharedBytes} bytes of shared memory; "
                    + $"{device.Info.Name} has {device.Info.SharedBytesMax}.");
        }

        Architecture = compiler.TargetFor(device.Info.Architecture);
        // "a": with the instructions that no later architecture has.
        Target = options.Wgmma ? $"{Architecture}a" : Architecture;
        UsesWgmma = options.Wgmma;
        sources ??= KernelSources.All;
        _module = new CudaModule(
            device, cache.Get(compiler, sources, Target, options), $"{Target} by NVRTC {compiler.Version}");
        try
        {
            foreach (var kernel in KernelSources.Kernels(sources, options.Wgmma))
                _module.Prepare(kernel, SharedBytesOf(kernel));
        }
        catch
        {
            _module.Dispose();
            throw;
        }
    }

    public KernelOptions Options { get; }

    /// <summary>Whose arithmetic it is: "sm_90", or "compute_90" where the driver translates.</summary>
    public string Architecture { get; }

    /// <summary>What the kernels were compiled for: the architecture, or "sm_90a".</summary>
    public string Target { get; }

    /// <summary>
    /// Whether a grid may begin while the one before it ends, so that neither its launch nor its first weights are
    /// waited for: from sm_90 on, and recorded in graphs by drivers for CUDA 12.3 and newer. Elsewhere it stays false.
    /// </summary>
    public bool Overlap
    {
        get => _module.Overlaps;
        set => _module.Overlaps = value && CanOverlap(_module.Device);
    }

    private static unsafe bool CanOverlap(CudaDevice device)
    {
        const int FirstArchitecture = 90, FirstDriver = 12030;
        return device.Info.Architecture >= FirstArchitecture && device.Driver.Version >= FirstDriver
            && device.Api.LaunchKernelWith != null;
    }

    /// <summary>residual = table[tokens] in FP32.</summary>
    /// <param name="table">[vocabulary x tableStride] elements.</param>
    /// <param name="tokens">[rows] ints; ~i stands for what the step before drew for its logit row i.</param>
    /// <param name="drawn">These draws; 0 where no token asks for one.</param>
    public void Embed(
        CudaStream stream, nint table, int tableStride, int vocabulary, nint tokens, nint drawn, nint count, int rows,
        nint residual, int residualStride, int hidden)
    {
        Demand(rows > 0 && hidden > 0 && hidden <= residualStride && hidden <= tableStride, "embedding", rows, hidden);
        _module.Launch(
            "embedding", new Extent(rows), new Extent(RowThreads), 0, stream,
            new EmbeddingArguments
            {
                Table = table,
                Tokens = tokens,
                Drawn = drawn,
                Count = count,
                Residual = residual,
                Hidden = hidden,
                TableStride = tableStride,
                ResidualStride = residualStride,
                Vocabulary = vocabulary,
            },
            $"{rows} rows of {hidden}");
    }

    /// <summary>residual += addend; output = residual / rms * weight. Output row r is of residual row gather[r], or r
    /// where gather is 0.</summary>
    public void RmsNorm(
        CudaStream stream, nint residual, int residualStride, Partials addend, nint weight, int hidden, float epsilon,
        nint output, int outputStride, nint gather, nint count, int rows)
    {
        Demand(rows > 0 && hidden > 0 && hidden <= residualStride && hidden <= outputStride, "rms_norm", rows, hidden);
        _module.Launch(
            "rms_norm", new Extent(rows), new Extent(NormThreads), 0, stream,
            new RmsNormArguments
            {
                Residual = residual,
                Addend = addend,
                Weight = weight,
                Output = output,
                Rows = gather,
                Count = count,
                Hidden = hidden,
                ResidualStride = residualStride,
                OutputStride = outputStride,
                Epsilon = epsilon,
            },
            $"{rows} rows of {hidden}");
    }

    /// <summary>
    /// output = input x weights^T, in FP32. With few rows the chunks of K stay apart: readers fold what is returned.
    /// </summary>
    /// <param name="input">[rows x inputStride] elements; columns up to the matrix' padded inputs are read.</param>
    /// <param name="output">Room for <see cref="GpuMatrix.OutputFloats"/>.</param>
    public Partials Linear(
        CudaStream stream, GpuMatrix matrix, nint input, int inputStride, nint output, nint count, int rows)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        Demand(
            rows > 0 && matrix.Inputs % LinearPlan.GroupInputs == 0 && matrix.Inputs <= inputStride
                && inputStride % 8 == 0 && matrix.ChunkInputs % LinearPlan.GroupInputs == 0,
            "linear", rows, matrix.Inputs, matrix.Outputs);
        var few = rows <= FewRows;
        var arguments = new LinearArguments
        {
            Weights = matrix.Weights,
            Scales = matrix.Scales,
            Input = input,
            Output = output,
            ChunkStride = (long)rows * matrix.Outputs,
            Count = count,
            Outputs = matrix.Outputs,
            Inputs = matrix.Inputs,
            InputStride = inputStride,
            OutputStride = matrix.Outputs,
            ChunkInputs = matrix.ChunkInputs,
        };
        var name = matrix.IsInt8 ? "linear_int8" : "linear";
        var shapes = $"{rows} rows, {matrix.Inputs} inputs, {matrix.Outputs} outputs, {matrix.Chunks} chunks";
        if (few)
        {
            var rowsABlock = rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : 64;
            var outputsABlock = rowsABlock == FewRows ? 2 * LinearPlan.BlockOutputs : LinearPlan.BlockOutputs;
            var grid = new Extent(LinearPlan.CeilDiv(matrix.Outputs, outputsABlock), matrix.Chunks);
            _module.Launch($"{name}_rows_{rowsABlock}", grid, new Extent(128), 0, stream, arguments, shapes);
            return new Partials(output, arguments.ChunkStride, matrix.Outputs, matrix.Chunks);
        }

        _module.Launch(
            matrix.Chunks > 1 ? $"{name}_tiled_chunked" : $"{name}_tiled",
            new Extent(
                LinearPlan.CeilDiv(matrix.Outputs, TileOutputs), LinearPlan.CeilDiv(rows, TileRows)),
            new Extent(256), 0, stream, arguments, shapes);
        return new Partials(output, 0, matrix.Outputs, 1);
    }

    /// <summary>output = silu(gate) * up, as elements; a row of the product has all gates, then all ups.</summary>
    public void SwiGlu(
        CudaStream stream, Partials gateUp, int width, nint output, int outputStride, nint count, int rows)
    {
        Demand(rows > 0 && width > 0 && width <= outputStride && 2 * width <= gateUp.RowStride, "swiglu", rows, width);
        _module.Launch(
            "swiglu", new Extent(rows, LinearPlan.CeilDiv(outputStride, RowThreads)), new Extent(RowThreads), 0,
            stream,
            new SwigluArguments
            {
                GateUp = gateUp,
                Output = output,
                Count = count,
                Width = width,
                OutputStride = outputStride,
            },
            $"{rows} rows of {width}");
    }

    /// <summary>Draws a token a row; -1 where the logits are no numbers.</summary>
    /// <param name="logits">[rows x stride] floats.</param>
    /// <param name="draws">[rows] <see cref="SampleDraw"/>.</param>
    /// <param name="tokens">[rows] ints.</param>
    public void Sample(
        CudaStream stream, nint logits, int vocabulary, int stride, nint draws, nint tokens, nint count, int rows)
    {
        Demand(
            rows > 0 && vocabulary is > 0 and <= VocabularyMax && vocabulary <= stride, "sample", rows, vocabulary);
        _module.Launch(
            "sample", new Extent(rows), new Extent(SampleThreads), 0, stream,
            new SampleArguments
            {
                Logits = logits,
                Draws = draws,
                Tokens = tokens,
                Count = count,
                Vocabulary = vocabulary,
                Stride = stride,
            },
            $"{rows} rows of {vocabulary}");
    }

    public void Dispose() => _module.Dispose();

    private static void Demand(bool holds, string kernel, params ReadOnlySpan<int> shapes)
    {
        if (!holds) throw new CudaException($"{kernel}: the shapes {string.Join(" x ", shapes.ToArray())} do not fit.");
    }
}
