using Krewe.Kernels;

namespace Krewe.Workers;

/// <summary>
/// Activations of one step, one row for each token, F32. They grow to the largest step and stay. Rows are whole panels
/// long plus one cache line, so that eight rows read together do not fall on the same sets of the cache.
/// </summary>
internal sealed unsafe class StepBuffers : IDisposable
{
    private const int RowGranule = 32;
    private const int StaggerFloats = 16;

    private NativeArray<float> _memory = new(0);
    private int _rows;

    public StepBuffers(int hidden, int queryKeyValue, int attention, int intermediate, int pairs)
    {
        HiddenStride = Stride(hidden);
        QueryStride = Stride(queryKeyValue);
        AttentionStride = Stride(attention);
        FeedForwardStride = Stride(intermediate);
        Pairs = pairs;
    }

    public int HiddenStride { get; }

    public int QueryStride { get; }

    public int AttentionStride { get; }

    public int FeedForwardStride { get; }

    /// <summary>Rotary pairs of a head.</summary>
    public int Pairs { get; }

    /// <summary>The residual stream.</summary>
    public float* Hidden => _memory.Data;

    /// <summary>The residual stream normalised: input of the next product.</summary>
    public float* Normed => Hidden + ((long)_rows * HiddenStride);

    /// <summary>Queries, keys and values of all heads.</summary>
    public float* QueryKeyValue => Normed + ((long)_rows * HiddenStride);

    /// <summary>Results of all heads.</summary>
    public float* Attention => QueryKeyValue + ((long)_rows * QueryStride);

    /// <summary>The gated inner layer.</summary>
    public float* FeedForward => Attention + ((long)_rows * AttentionStride);

    /// <summary>[rows, Pairs].</summary>
    public float* Cosine => FeedForward + ((long)_rows * FeedForwardStride);

    /// <summary>[rows, Pairs].</summary>
    public float* Sine => Cosine + ((long)_rows * Pairs);

    /// <summary>Makes room for a step; earlier contents are lost when it must grow.</summary>
    public void Reserve(int rows)
    {
        if (rows <= _rows) return;
        rows = Math.Max(rows, 2 * _rows);
        var memory = new NativeArray<float>(
            (long)rows * ((2 * HiddenStride) + QueryStride + AttentionStride + FeedForwardStride + (2 * Pairs)));
        _memory.Dispose();
        (_memory, _rows) = (memory, rows);
    }

    public void Dispose() => _memory.Dispose();

    private static int Stride(int floats) => ((floats + RowGranule - 1) / RowGranule * RowGranule) + StaggerFloats;
}
