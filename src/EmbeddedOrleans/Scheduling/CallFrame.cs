using System.Collections.Immutable;

namespace Krewe.EmbeddedOrleans;

/// <summary>What flows with asynchronous code: the work it belongs to and RequestContext's values.</summary>
internal sealed record CallFrame(Work? Work, ImmutableDictionary<string, object> RequestValues)
{
    private static readonly AsyncLocal<CallFrame?> Flow = new();

    /// <summary>Null outside of any grain when no request value was set.</summary>
    public static CallFrame? Current
    {
        get => Flow.Value;
        set => Flow.Value = value;
    }

    public static ImmutableDictionary<string, object> Values
    {
        get => Current?.RequestValues ?? ImmutableDictionary<string, object>.Empty;
        set => Current = new CallFrame(Current?.Work, value);
    }
}
