using System.Collections.Immutable;
using System.Text;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// Finds stop strings in text that arrives in pieces. Invariant: no character of a match is ever let through, and what
/// is let through does not depend on where the pieces were cut.
/// </summary>
/// <param name="stops">None of them is empty.</param>
/// <param name="showsMatch">The match itself is let through too.</param>
internal sealed class StopMatcher(ImmutableArray<string> stops, bool showsMatch = false)
{
    // What was not let through: the longest end of the text that is the start of a stop string.
    private readonly StringBuilder _held = new();

    /// <summary>Text that can be let through now, and the stop string that is complete behind it, if one is.</summary>
    public (string Text, string? Stop) Append(string piece)
    {
        if (stops.IsEmpty || piece.Length == 0) return (piece, null);
        var text = _held.Append(piece).ToString();
        if (FindFirst(text) is { } match)
        {
            _held.Clear();
            return (text[..(showsMatch ? match.Start + match.Stop.Length : match.Start)], match.Stop);
        }

        var heldChars = LongestStartAtEnd(text);
        _held.Clear().Append(text, text.Length - heldChars, heldChars);
        return (text[..^heldChars], null);
    }

    /// <summary>Lets the rest through: no more text will come.</summary>
    public string Flush()
    {
        var rest = _held.ToString();
        _held.Clear();
        return rest;
    }

    /// <summary>
    /// The match that is complete first; of those that are complete together the longest. A reader that
    /// looks after every character finds the same one.
    /// </summary>
    private (int Start, string Stop)? FindFirst(string text)
    {
        (int Start, string Stop)? first = null;
        var end = int.MaxValue;
        foreach (var stop in stops)
        {
            var found = text.IndexOf(stop, StringComparison.Ordinal);
            if (found < 0) continue;
            if (found + stop.Length < end || (found + stop.Length == end && found < first?.Start))
                (first, end) = ((found, stop), found + stop.Length);
        }

        return first;
    }

    private int LongestStartAtEnd(string text)
    {
        var longest = 0;
        foreach (var stop in stops)
        {
            for (var chars = Math.Min(stop.Length - 1, text.Length); chars > longest; chars--)
            {
                if (!text.AsSpan(text.Length - chars).SequenceEqual(stop.AsSpan(0, chars))) continue;
                longest = chars;
                break;
            }
        }

        return longest;
    }
}
