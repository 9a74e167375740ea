namespace Krewe.Abstractions;

/// <summary>Index of one KV block in one worker's pool, 0 .. blocks - 1. Means nothing on another worker.</summary>
public readonly record struct BlockId(int Value)
{
    public override string ToString() => $"b{Value}";
}
