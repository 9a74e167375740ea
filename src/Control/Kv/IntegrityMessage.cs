using System.Runtime.CompilerServices;

namespace Krewe.Control.Kv;

/// <summary>
/// The message of an <see cref="IntegrityException.Check(bool, ref IntegrityMessage)"/>, formatted only where the check
/// fails: checks stand in every step, which allocates nothing.
/// </summary>
[InterpolatedStringHandler]
public ref struct IntegrityMessage
{
    private DefaultInterpolatedStringHandler _text;

    public IntegrityMessage(int literalLength, int formattedCount, bool condition, out bool isWanted)
    {
        isWanted = !condition;
        if (isWanted) _text = new DefaultInterpolatedStringHandler(literalLength, formattedCount);
    }

    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    internal string ToStringAndClear() => _text.ToStringAndClear();
}
