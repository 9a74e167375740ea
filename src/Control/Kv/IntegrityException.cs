using System.Runtime.CompilerServices;

namespace Krewe.Control.Kv;

/// <summary>
/// Block bookkeeping contradicts itself. Bits may already be wrong: the worker must stop, not go on serving.
/// </summary>
public sealed class IntegrityException(string message) : Exception(message)
{
    /// <summary>
    /// Throws unless <paramref name="condition"/> holds. Always on: a wrong block table is a wrong answer.
    /// </summary>
    public static void Check(bool condition, string message)
    {
        if (!condition) throw new IntegrityException(message);
    }

    /// <summary>The same with a message that is formatted only where it is needed.</summary>
    public static void Check(
        bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] ref IntegrityMessage message)
    {
        if (!condition) throw new IntegrityException(message.ToStringAndClear());
    }
}
