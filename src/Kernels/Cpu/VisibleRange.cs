namespace Krewe.Kernels;

/// <summary>Positions (or slots of a tile) Low .. High - 1, none when they meet.</summary>
internal readonly record struct VisibleRange(int Low, int High)
{
    public bool IsEmpty => Low >= High;

    /// <summary>What the row at <paramref name="position"/> attends to.</summary>
    public static VisibleRange Of(int position, int? window) =>
        new(window is { } tokens ? Math.Max(0, position - tokens + 1) : 0, position + 1);

    /// <summary>The part inside [start, start + count), counted from <paramref name="start"/>.</summary>
    public VisibleRange Within(int start, int count) =>
        new(Math.Max(Low, start) - start, Math.Min(High, start + count) - start);
}
