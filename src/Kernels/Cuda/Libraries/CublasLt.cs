using Krewe.Abstractions;

namespace Krewe.Kernels.Cuda;

/// <summary>
/// Dense products by cuBLASLt. One algorithm for each shape of weights, asked for once, without split sums, and then
/// used for any number of rows: an algorithm chosen anew for each number of rows would give a request other bits in
/// another batch. Whether that suffices is for a machine with a GPU to show (tools/gpu-check): the library does not
/// promise it.
/// </summary>
public sealed unsafe class CublasLt : IDisposable
{
    private const int Compute32F = 68;
    private const int TypeF32 = 0;
    private const int TypeF16 = 2;
    private const int TypeBF16 = 14;
    private const int DescriptionTransposeA = 3;
    private const int PreferenceWorkspaceBytes = 1;
    private const int PreferenceReductionSchemes = 3;

    /// <summary>What <see cref="Candidates"/> may use.</summary>
    public const long WorkspaceBytes = 64 << 20;

    // The rows that the algorithm is chosen for: a full decode batch.
    private const int ReferenceRows = 64;
    private const int CandidatesMax = 8;
    private const int AlgorithmBytes = 64;
    private const int ResultBytes = 96;
    private const int ResultState = AlgorithmBytes + sizeof(ulong);
    private const uint NoReduction = 0;

    private readonly delegate* unmanaged<nint, int> _destroy;
    private readonly delegate* unmanaged<nint*, int, int, int> _createDescription;
    private readonly delegate* unmanaged<nint, int> _destroyDescription;
    private readonly delegate* unmanaged<nint, int, void*, nuint, int> _setDescription;
    private readonly delegate* unmanaged<nint*, int, ulong, ulong, long, int> _createLayout;
    private readonly delegate* unmanaged<nint, int> _destroyLayout;
    private readonly delegate* unmanaged<nint*, int> _createPreference;
    private readonly delegate* unmanaged<nint, int> _destroyPreference;
    private readonly delegate* unmanaged<nint, int, void*, nuint, int> _setPreference;
    private readonly delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, void*, int*, int> _choose;
    private readonly delegate* unmanaged<nint, nint, float*, nint, nint, nint, nint, float*, nint, nint, nint, nint,
        void*, nint, nuint, nint, int> _multiply;

    private readonly Dictionary<(int Outputs, int Inputs), byte[]> _algorithms = [];
    private readonly int _elementType;
    private readonly nint _handle;
    private nint _description;

    /// <exception cref="CudaException">The library is missing or has no handle for this device.</exception>
    public CublasLt(CudaDevice device, CudaLibraries libraries, KvFormat format)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(libraries);
        var table = new FunctionTable(libraries.Load(CudaLibrary.Blas), CudaLibrary.Blas);
        var create = (delegate* unmanaged<nint*, int>)table["cublasLtCreate"];
        var version = (delegate* unmanaged<nuint>)table["cublasLtGetVersion"];
        _destroy = (delegate* unmanaged<nint, int>)table["cublasLtDestroy"];
        _createDescription = (delegate* unmanaged<nint*, int, int, int>)table["cublasLtMatmulDescCreate"];
        _destroyDescription = (delegate* unmanaged<nint, int>)table["cublasLtMatmulDescDestroy"];
        _setDescription = (delegate* unmanaged<nint, int, void*, nuint, int>)table["cublasLtMatmulDescSetAttribute"];
        _createLayout = (delegate* unmanaged<nint*, int, ulong, ulong, long, int>)table["cublasLtMatrixLayoutCreate"];
        _destroyLayout = (delegate* unmanaged<nint, int>)table["cublasLtMatrixLayoutDestroy"];
        _createPreference = (delegate* unmanaged<nint*, int>)table["cublasLtMatmulPreferenceCreate"];
        _destroyPreference = (delegate* unmanaged<nint, int>)table["cublasLtMatmulPreferenceDestroy"];
        _setPreference = (delegate* unmanaged<nint, int, void*, nuint, int>)
            table["cublasLtMatmulPreferenceSetAttribute"];
        _choose = (delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, void*, int*, int>)
            table["cublasLtMatmulAlgoGetHeuristic"];
        _multiply = (delegate* unmanaged<nint, nint, float*, nint, nint, nint, nint, float*, nint, nint, nint, nint,
            void*, nint, nuint, nint, int>)table["cublasLtMatmul"];
        table.Demand();
        Version = (long)version();
        _elementType = format == KvFormat.F16 ? TypeF16 : TypeBF16;
        device.MakeCurrent();
        nint handle, description;
        Check(create(&handle), "cublasLtCreate", "");
        _handle = handle;
        Check(_createDescription(&description, Compute32F, TypeF32), "cublasLtMatmulDescCreate", "");
        _description = description;
        var transposed = 1;
        Check(
            _setDescription(description, DescriptionTransposeA, &transposed, sizeof(int)),
            "cublasLtMatmulDescSetAttribute", "transpose A");
    }

    /// <summary>For instance 120405.</summary>
    public long Version { get; }

    /// <summary>output[row][n] = sum over k of weights[n][k] * input[row][k], in FP32.</summary>
    public Partials Linear(
        CudaStream stream, GpuMatrix matrix, nint input, int inputStride, nint output, int rows)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(matrix);
        Run(stream, matrix, input, inputStride, output, rows, AlgorithmOf(matrix, inputStride), workspace: 0);
        return new Partials(output, 0, matrix.Outputs, 1);
    }

    /// <summary>Algorithms for just these rows, split sums and a workspace of <see cref="WorkspaceBytes"/> allowed, the
    /// one that the library thinks fastest first: what it could do where bits may depend on the batch.</summary>
    public IReadOnlyList<byte[]> Candidates(GpuMatrix matrix, int inputStride, int rows)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        return Choose(matrix, inputStride, rows, WorkspaceBytes, reductions: null, CandidatesMax);
    }

    /// <summary>A product by one of the algorithms that were chosen for its shape.</summary>
    /// <param name="workspace">Device memory of <see cref="WorkspaceBytes"/>; 0 = none, for algorithms without.</param>
    public void Run(
        CudaStream stream, GpuMatrix matrix, nint input, int inputStride, nint output, int rows, byte[] algorithm,
        nint workspace)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(matrix);
        using var shapes = new Layouts(this, matrix, inputStride, rows);
        float one = 1, zero = 0;
        fixed (byte* chosen = algorithm)
        {
            Check(
                _multiply(
                    _handle, _description, &one, matrix.Weights, shapes.Weights, input, shapes.Input, &zero, output,
                    shapes.Output, output, shapes.Output, chosen, workspace,
                    workspace == 0 ? 0 : (nuint)WorkspaceBytes, stream.Handle),
                "cublasLtMatmul", $"{rows} rows, {matrix.Inputs} inputs, {matrix.Outputs} outputs");
        }
    }

    public void Dispose()
    {
        if (_description == 0) return;
        Check(_destroyDescription(_description), "cublasLtMatmulDescDestroy", "");
        _description = 0;
        Check(_destroy(_handle), "cublasLtDestroy", "");
    }

    private byte[] AlgorithmOf(GpuMatrix matrix, int inputStride)
    {
        if (_algorithms.TryGetValue((matrix.Outputs, matrix.Inputs), out var known)) return known;
        var algorithm = Choose(matrix, inputStride, ReferenceRows, workspaceBytes: 0, NoReduction, most: 1)[0];
        _algorithms.Add((matrix.Outputs, matrix.Inputs), algorithm);
        return algorithm;
    }

    /// <param name="reductions">Ways of adding split sums that are allowed; null: all.</param>
    private List<byte[]> Choose(
        GpuMatrix matrix, int inputStride, int rows, long workspaceBytes, uint? reductions, int most)
    {
        nint preference;
        Check(_createPreference(&preference), "cublasLtMatmulPreferenceCreate", "");
        try
        {
            var workspace = (ulong)workspaceBytes;
            Check(
                _setPreference(preference, PreferenceWorkspaceBytes, &workspace, sizeof(ulong)),
                "cublasLtMatmulPreferenceSetAttribute", "workspace");
            if (reductions is { } allowed)
            {
                Check(
                    _setPreference(preference, PreferenceReductionSchemes, &allowed, sizeof(uint)),
                    "cublasLtMatmulPreferenceSetAttribute", "split sums");
            }

            using var shapes = new Layouts(this, matrix, inputStride, rows);
            var results = stackalloc byte[ResultBytes * most];
            int found;
            var what = $"{matrix.Inputs} inputs, {matrix.Outputs} outputs";
            Check(
                _choose(
                    _handle, _description, shapes.Weights, shapes.Input, shapes.Output, shapes.Output, preference, most,
                    results, &found),
                "cublasLtMatmulAlgoGetHeuristic", what);
            var algorithms = new List<byte[]>();
            for (var i = 0; i < found; i++)
            {
                var result = results + (i * ResultBytes);
                // A result that is no success has no algorithm.
                if (*(int*)(result + ResultState) == 0)
                    algorithms.Add(new Span<byte>(result, AlgorithmBytes).ToArray());
            }

            return algorithms.Count > 0
                ? algorithms
                : throw new CudaException($"cuBLASLt has no algorithm for a product of {what}.");
        }
        finally
        {
            Check(_destroyPreference(preference), "cublasLtMatmulPreferenceDestroy", "");
        }
    }

    private static void Check(int status, string call, string what)
    {
        if (status != 0) throw new CudaException(call, status, "a cuBLAS status", what);
    }

    /// <summary>
    /// The library counts columns first: our row-major weights are its [inputs x outputs] to be transposed, our output
    /// rows its columns.
    /// </summary>
    private readonly ref struct Layouts
    {
        private readonly CublasLt _owner;

        public Layouts(CublasLt owner, GpuMatrix matrix, int inputStride, int rows)
        {
            _owner = owner;
            Weights = Create(owner._elementType, matrix.Inputs, matrix.Outputs, matrix.Inputs);
            Input = Create(owner._elementType, matrix.Inputs, rows, inputStride);
            Output = Create(TypeF32, matrix.Outputs, rows, matrix.Outputs);
        }

        public nint Weights { get; }

        public nint Input { get; }

        public nint Output { get; }

        public void Dispose()
        {
            foreach (var layout in (ReadOnlySpan<nint>)[Weights, Input, Output])
                Check(_owner._destroyLayout(layout), "cublasLtMatrixLayoutDestroy", "");
        }

        private nint Create(int type, int rows, int columns, int stride)
        {
            nint layout;
            Check(
                _owner._createLayout(&layout, type, (ulong)rows, (ulong)columns, stride), "cublasLtMatrixLayoutCreate",
                $"{rows} x {columns}");
            return layout;
        }
    }
}
