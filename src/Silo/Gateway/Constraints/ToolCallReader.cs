using System.Text;
using Krewe.Models;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>What an answer's text grew by, calls told apart from the rest.</summary>
/// <param name="Text">Text that is no part of a call.</param>
/// <param name="Calls">New calls and further arguments, in order; at most one entry a call.</param>
/// <param name="Reasoning">What the model thought before; null where nothing came.</param>
internal sealed record ToolDelta(string Text, IReadOnlyList<CallDelta> Calls, string? Reasoning = null)
{
    public bool IsEmpty => Text.Length == 0 && Calls.Count == 0 && Reasoning is null;
}

/// <param name="Index">Which call of the answer.</param>
/// <param name="Name">Set where the call begins.</param>
/// <param name="Arguments">What its arguments grew by.</param>
internal sealed record CallDelta(int Index, string? Name, string Arguments);

/// <summary>
/// Reads calls in text that arrives in pieces. The workers let nothing follow an opening but a call in its very form;
/// what is cut short was cut by the limit or a stop string.
/// </summary>
internal sealed class ToolCallReader(ToolStyle style)
{
    private readonly ToolCallText _text = ToolCallText.Of(style);

    // What was not let through: it may become an opening, or lacks the end of a fixed part.
    private readonly StringBuilder _held = new();

    private Place _place = Place.Text;
    private bool _hasText;
    private int _depth;
    private bool _inString;
    private bool _isEscaped;

    /// <summary>Calls that have begun.</summary>
    public int Begun { get; private set; }

    /// <summary>Calls whose arguments are whole.</summary>
    public int Whole { get; private set; }

    /// <summary>What a piece of the answer adds. Behind the last one nothing is held back.</summary>
    public ToolDelta Append(string piece, bool isLast)
    {
        _held.Append(piece);
        var text = new StringBuilder();
        List<CallDelta> calls = [];
        while (TryStep(text, calls))
        {
            // Each step takes something of what is held.
        }

        if (isLast && _place == Place.Text)
        {
            text.Append(_held);
            _held.Clear();
        }

        return new ToolDelta(text.ToString(), calls);
    }

    private bool TryStep(StringBuilder text, List<CallDelta> calls)
    {
        if (_held.Length == 0) return false;
        return _place switch
        {
            Place.Text => TryFindOpening(text),
            Place.Name => TryReadName(calls),
            Place.Arguments => ReadArguments(calls),
            _ => TryClose(),
        };
    }

    private bool TryFindOpening(StringBuilder text)
    {
        var held = _held.ToString();
        var mayOpen = !_text.OnlyAtStart || !_hasText;
        var found = !mayOpen ? -1 : _text.OnlyAtStart
            ? held.StartsWith(_text.Opening, StringComparison.Ordinal) ? 0 : -1
            : held.IndexOf(_text.Opening, StringComparison.Ordinal);
        var shown = found >= 0 ? found : mayOpen ? held.Length - StartAtEnd(held) : held.Length;
        _hasText |= shown > 0;
        text.Append(held, 0, shown);
        _held.Remove(0, found >= 0 ? found + _text.Opening.Length : shown);
        if (found < 0) return false;
        _place = Place.Name;
        return true;
    }

    /// <summary>Characters at the end that may be the begin of an opening.</summary>
    private int StartAtEnd(string held)
    {
        for (var chars = Math.Min(_text.Opening.Length - 1, held.Length); chars > 0; chars--)
        {
            if (_text.OnlyAtStart && chars != held.Length) return 0;
            if (held.EndsWith(_text.Opening[..chars], StringComparison.Ordinal)) return chars;
        }

        return 0;
    }

    private bool TryReadName(List<CallDelta> calls)
    {
        var held = _held.ToString();
        var end = held.IndexOf(_text.BeforeArguments, StringComparison.Ordinal);
        if (end < _text.BeforeName.Length) return false;
        calls.Add(new CallDelta(Begun++, held[_text.BeforeName.Length..end], ""));
        _held.Remove(0, end + _text.BeforeArguments.Length);
        _place = Place.Arguments;
        return true;
    }

    private bool ReadArguments(List<CallDelta> calls)
    {
        var held = _held.ToString();
        var taken = 0;
        while (taken < held.Length && _place == Place.Arguments) Follow(held[taken++]);
        _held.Remove(0, taken);
        if (calls is [.., { } last] && last.Index == Begun - 1)
            calls[^1] = last with { Arguments = last.Arguments + held[..taken] };
        else
            calls.Add(new CallDelta(Begun - 1, null, held[..taken]));
        return true;
    }

    /// <summary>Where the object that is the arguments ends.</summary>
    private void Follow(char c)
    {
        if (_inString)
        {
            if (c == '"' && !_isEscaped) _inString = false;
            _isEscaped = c == '\\' && !_isEscaped;
            return;
        }

        if (c == '"') _inString = true;
        else if (c is '{' or '[') _depth++;
        else if (c is '}' or ']' && --_depth == 0)
        {
            Whole++;
            _place = Place.Closing;
        }
    }

    private bool TryClose()
    {
        var next = _text.Closing + _text.Separator + _text.Opening;
        if (_held.Length < next.Length) return false;
        _held.Remove(0, next.Length);
        _place = Place.Name;
        return true;
    }

    private enum Place
    {
        Text,
        Name,
        Arguments,
        Closing,
    }
}
