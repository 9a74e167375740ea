using System.Collections.Immutable;

namespace Krewe.Control.Metrics;

/// <summary>Buckets that fit what is measured: about two for each doubling where the objectives lie.</summary>
internal static class MetricBounds
{
    /// <summary>Parts of a request: a millisecond to ten minutes.</summary>
    public static ImmutableArray<double> Request { get; } =
    [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.6, 1, 1.5, 2.5, 5, 10, 20, 40, 80, 160,
        320, 640,
    ];

    /// <summary>Gaps between tokens, steps, calls: 0.1 ms to ten seconds.</summary>
    public static ImmutableArray<double> Step { get; } =
    [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15,
        0.25, 0.5, 1, 2.5, 5, 10,
    ];

    /// <summary>Token counts of one request.</summary>
    public static ImmutableArray<double> Tokens { get; } =
        [1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];

    /// <summary>Rows of one step.</summary>
    public static ImmutableArray<double> Rows { get; } = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
}
