using System.Collections.Immutable;

namespace Krewe.Control.Metrics;

/// <summary>What a metric's samples mean over time.</summary>
public enum MetricKind
{
    /// <summary>Only grows, from 0 at the process's start.</summary>
    Counter,

    /// <summary>The value at the moment of the look.</summary>
    Gauge,

    /// <summary>A distribution: cumulative counts at bounds, sum and count.</summary>
    Histogram,
}

/// <summary>One metric of the product. Labels are bounded by what they name; none carries text of a prompt.</summary>
/// <param name="Name">Prometheus' name, unit last.</param>
/// <param name="Kind">What its samples mean.</param>
/// <param name="Help">One line for who charts it.</param>
public sealed record MetricInfo(string Name, MetricKind Kind, string Help)
{
    /// <summary>Names of the labels beside those that all metrics of a process have.</summary>
    public ImmutableArray<string> Labels { get; init; } = [];

    /// <summary>Upper bounds of a histogram's buckets, ascending; the last one, infinity, is implied.</summary>
    public ImmutableArray<double> Bounds { get; init; } = [];

    /// <summary>The name under which vLLM's dashboards know the same thing; null = they do not.</summary>
    public string? Alias { get; init; }

    /// <summary>OpenTelemetry's name for it (gen_ai conventions); null = it goes out under a name of our own.</summary>
    public string? GenAi { get; init; }

    /// <summary>The unit as OpenTelemetry writes it; "" = a plain number.</summary>
    public string Unit => Name switch
    {
        _ when Name.Contains("_seconds", StringComparison.Ordinal) => "s",
        _ when Name.Contains("_bytes", StringComparison.Ordinal) => "By",
        _ when Name.Contains("_tokens", StringComparison.Ordinal) => "{token}",
        _ => "",
    };

    /// <summary>Name of the OpenTelemetry instrument; null for one that exists under vLLM's name alone.</summary>
    public string? InstrumentName
    {
        get
        {
            if (GenAi is not null) return GenAi;
            if (Name.Contains(':', StringComparison.Ordinal)) return null;
            var name = Name;
            foreach (var suffix in (string[])["_total", "_seconds"])
            {
                if (name.EndsWith(suffix, StringComparison.Ordinal)) name = name[..^suffix.Length];
            }

            return name.StartsWith("krewe_", StringComparison.Ordinal) ? $"krewe.{name[6..]}" : name;
        }
    }
}
