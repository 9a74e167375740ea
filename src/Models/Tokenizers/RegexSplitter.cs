using System.Text.RegularExpressions;

namespace Krewe.Models;

/// <summary>What becomes of the matches of a Split pattern.</summary>
internal enum SplitBehavior
{
    /// <summary>Matches are dropped.</summary>
    Removed,

    /// <summary>Each match is a piece of its own.</summary>
    Isolated,

    /// <summary>A match ends the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>A match begins the piece after it.</summary>
    MergedWithNext,

    /// <summary>Neighbouring matches form one piece.</summary>
    Contiguous,
}

/// <summary>
/// A Split by any pattern. The pattern sees one UTF-16 unit for each code point: characters beyond the basic plane are
/// replaced by a stand-in of the same general category, because .NET's classes look at single units and would
/// otherwise take every such letter for "other".
/// </summary>
internal sealed class RegexSplitter : ISplitter
{
    /// <summary>Bounds a pattern that backtracks without end; ordinary text needs microseconds.</summary>
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(10);

    private readonly Regex _regex;
    private readonly SplitBehavior _behavior;
    private readonly bool _invert;

    public RegexSplitter(string pattern, SplitBehavior behavior, bool invert)
    {
        _regex = new Regex(pattern, RegexOptions.CultureInvariant, MatchTimeout);
        (_behavior, _invert) = (behavior, invert);
    }

    public void Split(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            SplitBasic(text, offset, pieces);
            return;
        }

        var standIns = new StandIns(text);
        var first = pieces.Count;
        SplitBasic(standIns.Text, 0, pieces);
        for (var i = first; i < pieces.Count; i++)
        {
            var start = standIns.OriginalIndex(pieces[i].Start);
            var end = standIns.OriginalIndex(pieces[i].Start + pieces[i].Length);
            pieces[i] = new Piece(offset + start, end - start);
        }
    }

    private void SplitBasic(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        var sink = new PieceSink(pieces, offset, _behavior);
        var end = 0;
        try
        {
            foreach (var match in _regex.EnumerateMatches(text))
            {
                // An empty match separates nothing.
                if (match.Length == 0)
                    continue;
                sink.Add(end, match.Index, isMatch: _invert);
                sink.Add(match.Index, match.Index + match.Length, isMatch: !_invert);
                end = match.Index + match.Length;
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new ModelException($"tokenizer.json: the pattern {_regex} ran for more than "
                + $"{MatchTimeout.TotalSeconds} s on {text.Length} characters.", e);
        }

        sink.Add(end, text.Length, isMatch: _invert);
        sink.Finish();
    }

    /// <summary>Joins stretches to pieces. A piece is held back until it is known that nothing joins it.</summary>
    private struct PieceSink(List<Piece> pieces, int offset, SplitBehavior behavior)
    {
        private int _start;
        private int _end;
        private bool _lastIsMatch;

        public void Add(int start, int end, bool isMatch)
        {
            if (start == end)
                return;
            var joins = _end > _start && behavior switch
            {
                SplitBehavior.MergedWithPrevious => isMatch && !_lastIsMatch,
                SplitBehavior.MergedWithNext => !isMatch && _lastIsMatch,
                SplitBehavior.Contiguous => isMatch == _lastIsMatch,
                _ => false,
            };
            if (!joins)
            {
                Finish();
                _start = start;
            }

            (_end, _lastIsMatch) = (end, isMatch);
        }

        public readonly void Finish()
        {
            if (_end > _start && !(_lastIsMatch && behavior == SplitBehavior.Removed))
                pieces.Add(new Piece(offset + _start, _end - _start));
        }
    }
}
