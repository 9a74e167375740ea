using System.Text;

namespace Krewe.Silo.Gateway.Reasoning;

/// <summary>
/// Tells thoughts from the answer in text that arrives in pieces. White space around thoughts, and before the answer
/// behind them, belongs to neither. Invariant: the two texts do not depend on where the pieces were cut.
/// </summary>
/// <param name="call">
/// What opens a call wherever it stands: it ends thoughts that nothing has closed, for the workers let nothing but the
/// call follow. Null: nothing does.
/// </param>
internal sealed class ReasoningReader(ReasoningUse use, string? call = null)
{
    // What was not let through: it may become a tag, or be white space before one.
    private readonly StringBuilder _held = new();

    private Place _place = use.Continues ? Place.Thoughts : use.BeginsInside ? Place.BeforeThoughts : Place.Start;

    private enum Place
    {
        Start,
        BeforeThoughts,
        Thoughts,
        BeforeAnswer,
        Answer,
    }

    /// <summary>It may begin with thoughts or not.</summary>
    public bool IsUndecided => _place == Place.Start;

    /// <summary>All that comes is the answer.</summary>
    public bool IsOver => _place == Place.Answer;

    /// <summary>What was appended last is a thought, or at least its end.</summary>
    public bool HasThought { get; private set; }

    /// <summary>What a piece adds to thoughts and to the answer. Behind the last one nothing is held back.</summary>
    public (string Thoughts, string Answer) Append(string piece, bool isLast)
    {
        if (_place == Place.Answer && _held.Length == 0) return ("", piece);
        _held.Append(piece);
        var (thoughts, answer) = ("", "");
        if (_place == Place.Start) Begin(isLast);
        HasThought = _place is Place.BeforeThoughts or Place.Thoughts;
        if (_place == Place.BeforeThoughts) SkipSpaceTo(Place.Thoughts);
        if (_place == Place.Thoughts) thoughts = Think(isLast);
        if (_place == Place.BeforeAnswer) SkipSpaceTo(Place.Answer);
        if (_place == Place.Answer) answer = Take(_held.Length);
        return (use.IsShown ? thoughts : "", answer);
    }

    /// <summary>Thoughts open the output or there are none.</summary>
    private void Begin(bool isLast)
    {
        var begun = _held.ToString().TrimStart();
        if (begun.StartsWith(ReasoningUse.Opening, StringComparison.Ordinal))
        {
            Take(_held.Length - begun.Length + ReasoningUse.Opening.Length);
            _place = Place.BeforeThoughts;
        }
        else if (isLast || !ReasoningUse.Opening.StartsWith(begun, StringComparison.Ordinal))
        {
            _place = Place.Answer;
        }
    }

    private void SkipSpaceTo(Place next)
    {
        var text = _held.ToString();
        Take(text.Length - text.TrimStart().Length);
        if (_held.Length > 0) _place = next;
    }

    private string Think(bool isLast)
    {
        var text = _held.ToString();
        var end = text.IndexOf(ReasoningUse.Closing, StringComparison.Ordinal);
        var opened = call is null ? -1 : text.IndexOf(call, StringComparison.Ordinal);
        if (opened >= 0 && (end < 0 || opened < end))
        {
            Take(opened);
            _place = Place.Answer;
            HasThought = false;
            return text[..opened].TrimEnd();
        }

        if (end >= 0)
        {
            var thoughts = text[..end].TrimEnd();
            Take(end + ReasoningUse.Closing.Length);
            _place = Place.BeforeAnswer;
            return thoughts;
        }

        var begun = Math.Max(StartAtEnd(text, ReasoningUse.Closing), StartAtEnd(text, call ?? ""));
        var kept = isLast ? text.Length : text.Length - begun;
        var shown = text[..kept].TrimEnd();
        Take(shown.Length);
        return shown;
    }

    /// <summary>Characters at the end that may be the begin of the tag.</summary>
    private static int StartAtEnd(string text, string tag)
    {
        for (var chars = Math.Min(tag.Length - 1, text.Length); chars > 0; chars--)
        {
            if (text.EndsWith(tag[..chars], StringComparison.Ordinal)) return chars;
        }

        return 0;
    }

    private string Take(int chars)
    {
        var text = _held.ToString(0, chars);
        _held.Remove(0, chars);
        return text;
    }
}
