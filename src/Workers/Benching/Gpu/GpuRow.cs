using System.Text.Json;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>One line of <c>krewe gpucheck</c>.</summary>
/// <param name="Name">What was checked or measured.</param>
/// <param name="Verdict">Null for a figure without a bound.</param>
/// <param name="Found">Figures and bounds.</param>
public sealed record GpuRow(string Name, bool? Verdict, string Found)
{
    /// <summary>What was measured, for whoever records it; null where nothing was.</summary>
    public double? Value { get; init; }

    /// <summary>Of <see cref="Value"/>, for instance "GB/s".</summary>
    public string? Unit { get; init; }

    /// <summary>What it is held against, in the same unit: a limit of the machine's, or a peer's figure.</summary>
    public double? Limit { get; init; }

    /// <summary>What it is of, where rows of all areas stand together.</summary>
    public string? Area { get; init; }

    /// <summary>Seconds from the check's begin.</summary>
    public double? Seconds { get; init; }

    /// <summary>The row as one line of JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this);

    /// <summary>Null where the line is no row.</summary>
    public static GpuRow? FromJson(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<GpuRow>(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
