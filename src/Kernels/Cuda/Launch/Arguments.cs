using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

// Twins of the structs of Sources/*.cu, field by field; a test compares their sizes with the compiled kernels'.

/// <summary>Sums of a product split over K: planes that their reader adds in order.</summary>
/// <param name="Data">[Chunks][rows x RowStride] floats on the device.</param>
/// <param name="ChunkStride">Floats from plane to plane.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct Partials(nint Data, long ChunkStride, int RowStride, int Chunks)
{
    /// <summary>No addend.</summary>
    public static Partials None => default;
}

internal struct EmbeddingArguments
{
    public nint Table;
    public nint Tokens;
    public nint Drawn;
    public nint Count;
    public nint Residual;
    public int Hidden;
    public int TableStride;
    public int ResidualStride;
    public int Vocabulary;
}

internal struct RmsNormArguments
{
    public nint Residual;
    public Partials Addend;
    public nint Weight;
    public nint Output;
    public nint Rows;
    public nint Count;
    public int Hidden;
    public int ResidualStride;
    public int OutputStride;
    public float Epsilon;
}

internal struct RopeKvWriteArguments
{
    public Partials QueryKeyValue;
    public nint Bias;
    public nint QueryNorm;
    public nint KeyNorm;
    public nint Cosine;
    public nint Sine;
    public nint Positions;
    public nint Slots;
    public nint Count;
    public nint Queries;
    public nint Keys;
    public nint Values;
    public long BlockStride;
    public int Heads;
    public int KvHeads;
    public int BlockTokens;
    public int QueryStride;
    public float Epsilon;
    public int Padding;
}

internal struct AttentionArguments
{
    public nint Queries;
    public nint Keys;
    public nint Values;
    public nint BlockTables;
    public nint Work;
    public nint Count;
    public nint Output;
    public nint Partial;
    public long BlockStride;
    public int KvHeads;
    public int Group;
    public int BlockTokens;
    public int QueryStride;
    public int OutputStride;
    public int Window;
    public int Partitions;
    public float Scale;
}

internal struct SwigluArguments
{
    public Partials GateUp;
    public nint Output;
    public nint Count;
    public int Width;
    public int OutputStride;
}

internal struct LinearArguments
{
    public nint Weights;
    public nint Scales;
    public nint Input;
    public nint Output;
    public long ChunkStride;
    public nint Count;
    public int Outputs;
    public int Inputs;
    public int InputStride;
    public int OutputStride;
    public int ChunkInputs;
    public int Padding;
}

/// <summary>How one row's token is drawn on the device; see <see cref="SamplerSettings"/>.</summary>
/// <param name="Temperature">0 = greedy.</param>
/// <param name="TopK">0 = off.</param>
/// <param name="Position">Index of the token in the stream's output.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct SampleDraw(
    float Temperature, float TopP, float MinP, int TopK, long Seed, int Choice, int Position)
{
    /// <summary>Null where the settings ask for what the device's sampler does not do (biases, penalties).</summary>
    public static SampleDraw? Of(SamplerSettings settings, int position)
    {
        ArgumentNullException.ThrowIfNull(settings);
        return settings.HasPenalties || settings.LogitBias.Count > 0
            ? null
            : new SampleDraw(
                settings.Temperature, settings.TopP, settings.MinP, settings.TopK ?? 0, settings.Seed,
                settings.Choice, position);
    }
}

internal struct SampleArguments
{
    public nint Logits;
    public nint Draws;
    public nint Tokens;
    public nint Count;
    public int Vocabulary;
    public int Stride;
}

/// <summary>One piece of a copy; offsets and length in bytes, multiples of 16.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct CopyPiece(long Source, long Target, long Bytes);

internal struct BlockCopyArguments
{
    public nint Pieces;
    public nint Source;
    public nint Target;
}

internal struct Crc32cArguments
{
    public nint Memory;
    public nint Checksums;
    public long Bytes;
}
