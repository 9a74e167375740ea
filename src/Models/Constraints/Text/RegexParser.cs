using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// Regular expressions in the syntax that ECMAScript, Python and JSON Schema share, as far as they are regular: no
/// look-around, back references, word borders or flags.
/// </summary>
internal sealed class RegexParser
{
    private const int DepthMax = 100;
    private const int RepetitionsMax = 10_000;

    private readonly int[] _points;
    private readonly string _path;
    private int _at;
    private int _depth;

    private RegexParser(string pattern, string path)
    {
        _path = path;
        _points = [.. pattern.EnumerateRunes().Select(rune => rune.Value)];
    }

    private bool IsOver => _at == _points.Length;

    private int Current => _points[_at];

    /// <summary>An automaton over characters.</summary>
    /// <param name="pattern">The expression.</param>
    /// <param name="isSearch">It may match anywhere in a text, as in JSON Schema; else the whole text must match.
    /// </param>
    /// <param name="path">Where it stands, for errors.</param>
    /// <param name="budget">Of the whole constraint.</param>
    /// <exception cref="ConstraintException">It is not valid, not supported, or too large.</exception>
    public static Dfa Parse(string pattern, bool isSearch, string path, ConstraintBudget budget)
    {
        var parser = new RegexParser(pattern, path);
        var expr = parser.ReadAlternatives();
        if (!parser.IsOver) throw parser.Error("has a ')' without its '('");
        expr = Anchored(expr, isSearch);
        return new CharacterBuilder(budget, path).Build(expr);
    }

    /// <summary>The expression of a grammar's /regex/ terminal.</summary>
    public static Expr ParseTerminal(string pattern, string path)
    {
        var parser = new RegexParser(pattern, path);
        var expr = parser.ReadAlternatives();
        if (!parser.IsOver) throw parser.Error("has a ')' without its '('");
        return Anchored(expr, isSearch: false);
    }

    private Expr ReadAlternatives()
    {
        if (++_depth > DepthMax) throw Error($"is nested more than {DepthMax} deep");
        List<Expr> options = [ReadSequence()];
        while (!IsOver && Current == '|')
        {
            _at++;
            options.Add(ReadSequence());
        }

        _depth--;
        return Expr.Any(options);
    }

    private Expr ReadSequence()
    {
        List<Expr> parts = [];
        while (!IsOver && Current is not ('|' or ')')) parts.Add(ReadQuantified());
        return Expr.Of([.. parts]);
    }

    private Expr ReadQuantified()
    {
        var atom = ReadAtom();
        if (IsOver || !TryReadQuantifier(out var min, out var max)) return atom;
        if (atom is Expr.Anchor) throw Error("repeats an anchor");
        // Lazy and greedy match the same texts.
        if (!IsOver && Current == '?') _at++;
        else if (!IsOver && Current == '+') throw Error("has a possessive quantifier, which is not supported");
        return new Expr.Repeat(atom, min, max);
    }

    private bool TryReadQuantifier(out int min, out int? max)
    {
        (min, max) = (0, null);
        switch (Current)
        {
            case '*': _at++; return true;
            case '+': (_at, min) = (_at + 1, 1); return true;
            case '?': (_at, max) = (_at + 1, 1); return true;
            case '{': return TryReadCounts(out min, out max);
            default: return false;
        }
    }

    private bool TryReadCounts(out int min, out int? max)
    {
        var begin = _at++;
        (min, max) = (0, null);
        if (ReadNumber() is not { } from)
        {
            // A brace that begins no count stands for itself.
            _at = begin;
            return false;
        }

        (min, max) = (from, from);
        if (!IsOver && Current == ',')
        {
            _at++;
            max = ReadNumber();
        }

        if (IsOver || Current != '}') throw Error("has a '{' count without its '}'");
        _at++;
        if (max < min) throw Error($"has a count whose end {max} is below its begin {min}");
        return true;
    }

    private int? ReadNumber()
    {
        var begin = _at;
        var value = 0;
        for (; !IsOver && Current is >= '0' and <= '9'; _at++)
        {
            value = (value * 10) + Current - '0';
            if (value > RepetitionsMax) throw Error($"repeats more than {RepetitionsMax} times");
        }

        return _at == begin ? null : value;
    }

    private Expr ReadAtom()
    {
        var point = _points[_at++];
        switch (point)
        {
            case '(': return ReadGroup();
            case '[': return new Expr.Chars(ReadClass());
            case '.': return new Expr.Chars(CodePointSet.LineEnds.Complement());
            case '^': return new Expr.Anchor(IsStart: true);
            case '$': return new Expr.Anchor(IsStart: false);
            case '\\': return new Expr.Chars(ReadEscape(inClass: false, isNegated: false));
            case '*' or '+' or '?': throw Error($"has a '{(char)point}' with nothing to repeat");
            default: return new Expr.Chars(CodePointSet.Of(point));
        }
    }

    private Expr ReadGroup()
    {
        if (!IsOver && Current == '?')
        {
            _at++;
            var kind = IsOver ? 0 : _points[_at++];
            if (kind == 'P' && !IsOver && Current == '<') kind = _points[_at++];
            if (kind == '<' && !IsOver && Current is not ('=' or '!'))
            {
                while (!IsOver && Current != '>') _at++;
                if (IsOver) throw Error("has a group name without its '>'");
                _at++;
            }
            else if (kind != ':')
            {
                throw Error("has look-around or flags, which are not supported");
            }
        }

        var body = ReadAlternatives();
        if (IsOver) throw Error("has a '(' without its ')'");
        _at++;
        return body;
    }

    private CodePointSet ReadClass()
    {
        var isNegated = !IsOver && Current == '^';
        if (isNegated) _at++;
        var set = CodePointSet.Empty;
        for (var isFirst = true; ; isFirst = false)
        {
            if (IsOver) throw Error("has a '[' without its ']'");
            if (Current == ']' && !isFirst) break;
            var (from, single) = ReadClassItem(isNegated);
            if (single is null || _at + 1 >= _points.Length || Current != '-' || _points[_at + 1] == ']')
            {
                set = set.Union(from);
                continue;
            }

            _at++;
            var (_, last) = ReadClassItem(isNegated);
            if (last is null || last < single) throw Error("has a range in [...] whose end is before its begin");
            set = set.Union(CodePointSet.Range(single.Value, last.Value));
        }

        _at++;
        return isNegated ? set.Complement() : set;
    }

    private (CodePointSet Set, int? Single) ReadClassItem(bool isNegated)
    {
        var point = _points[_at++];
        if (point != '\\') return (CodePointSet.Of(point), point);
        var set = ReadEscape(inClass: true, isNegated);
        var isSingle = set.Ranges.Length == 1 && set.Ranges[0].First == set.Ranges[0].Last;
        return (set, isSingle ? set.Ranges[0].First : null);
    }

    private CodePointSet ReadEscape(bool inClass, bool isNegated)
    {
        if (IsOver) throw Error("ends in a '\\'");
        var point = _points[_at++];
        switch (point)
        {
            case 'd' or 'w' or 's' or 'D' or 'W' or 'S': return RegexClass.Of((char)point, isNegated);
            case 't': return CodePointSet.Of('\t');
            case 'n': return CodePointSet.Of('\n');
            case 'r': return CodePointSet.Of('\r');
            case 'f': return CodePointSet.Of('\f');
            case 'v': return CodePointSet.Of('\v');
            case '0': return CodePointSet.Of(0);
            case 'b' when inClass: return CodePointSet.Of('\b');
            case 'x': return CodePointSet.Of(ReadHex(2));
            case 'u': return CodePointSet.Of(ReadUnicode());
            case 'p' or 'P': return ReadCategory(isNegated: point == 'P');
            case >= '1' and <= '9': throw Error("has a back reference, which is not supported");
            case (>= 'a' and <= 'z') or (>= 'A' and <= 'Z'):
                throw Error($"has the escape \\{(char)point}, which is not supported");
            default: return CodePointSet.Of(point);
        }
    }

    private int ReadUnicode()
    {
        if (!IsOver && Current == '{')
        {
            var end = Array.IndexOf(_points, '}', _at);
            if (end < 0 || end - _at is < 2 or > 7) throw Error("has a \\u{...} that is no character");
            _at++;
            var value = ReadHex(end - _at);
            _at++;
            return value;
        }

        var unit = ReadHex(4);
        if (!char.IsHighSurrogate((char)unit) || _at + 1 >= _points.Length || Current != '\\'
            || _points[_at + 1] != 'u')
            return unit;
        _at += 2;
        var low = ReadHex(4);
        return char.IsLowSurrogate((char)low)
            ? char.ConvertToUtf32((char)unit, (char)low)
            : throw Error("has half a surrogate pair");
    }

    private int ReadHex(int digits)
    {
        var text = new StringBuilder();
        for (; text.Length < digits && !IsOver; _at++) text.Append(new Rune(Current).ToString());
        return int.TryParse(
                text.ToString(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            && text.Length == digits && value <= 0x10FFFF
            ? value
            : throw Error("has an escape with wrong hexadecimal digits");
    }

    private CodePointSet ReadCategory(bool isNegated)
    {
        var end = IsOver || Current != '{' ? -1 : Array.IndexOf(_points, '}', _at);
        if (end < 0) throw Error("has a \\p without {...}");
        var name = string.Concat(_points[(_at + 1)..end].Select(point => new Rune(point).ToString()));
        _at = end + 1;
        var set = CodePointSet.OfCategory(name)
            ?? throw Error($"has \\p{{{name}}}; only general categories such as L, Lu or Nd are supported");
        // Engines that read UTF-16 by its units know no category beyond 16 bits.
        return (isNegated ? set.Complement() : set).Intersect(CodePointSet.Range(0, 0xFFFF));
    }

    /// <summary>Anchors at the ends come to nothing, or to no text around them.</summary>
    private static Expr Anchored(Expr expr, bool isSearch)
    {
        if (expr is Expr.Choice choice)
            return Expr.Any(choice.Options.Select(option => Anchored(option, isSearch)));
        Expr[] parts = expr is Expr.Sequence sequence ? [.. sequence.Parts] : [expr];
        var start = 0;
        while (start < parts.Length && parts[start] is Expr.Anchor { IsStart: true }) start++;
        var end = parts.Length;
        while (end > start && parts[end - 1] is Expr.Anchor { IsStart: false }) end--;
        var middle = Expr.Of(parts.AsSpan(start, end - start));
        if (start == 0 && end == parts.Length && middle is Expr.Choice) return Anchored(middle, isSearch);
        if (!isSearch) return middle;
        var any = new Expr.Repeat(new Expr.Chars(CodePointSet.All), 0, null);
        return Expr.Of(start > 0 ? Expr.Nothing : any, middle, end < parts.Length ? Expr.Nothing : any);
    }

    private ConstraintException Error(string what) => new($"the regular expression {what}", _path);

    /// <summary>Builds the automaton over characters.</summary>
    private sealed class CharacterBuilder(ConstraintBudget budget, string path)
    {
        private readonly Nfa _nfa = new(budget);

        public Dfa Build(Expr expr)
        {
            var start = _nfa.AddState();
            return _nfa.Determinize(start, Build(expr, start));
        }

        private int Build(Expr expr, int from)
        {
            switch (expr)
            {
                case Expr.Chars chars:
                    var next = _nfa.AddState();
                    foreach (var (first, last) in chars.Set.Ranges) _nfa.Add(from, first, last, next);
                    return next;
                case Expr.Sequence sequence: return sequence.Parts.Aggregate(from, (at, part) => Build(part, at));
                case Expr.Choice choice:
                    var end = _nfa.AddState();
                    foreach (var option in choice.Options) _nfa.AddEmpty(Build(option, Branch(from)), end);
                    return end;
                case Expr.Repeat repeat: return BuildRepeat(repeat, from);
                default:
                    throw new ConstraintException(
                        "the regular expression has an anchor that is not at an end of it", path);
            }
        }

        private int BuildRepeat(Expr.Repeat repeat, int from)
        {
            for (var i = 0; i < repeat.Min; i++) from = Build(repeat.Body, Branch(from));
            if (repeat.Max is null)
            {
                var loop = Branch(from);
                _nfa.AddEmpty(Build(repeat.Body, Branch(loop)), loop);
                return Branch(loop);
            }

            var end = _nfa.AddState();
            _nfa.AddEmpty(from, end);
            for (var i = repeat.Min; i < repeat.Max; i++)
            {
                from = Build(repeat.Body, Branch(from));
                _nfa.AddEmpty(from, end);
            }

            return end;
        }

        private int Branch(int from)
        {
            var branch = _nfa.AddState();
            _nfa.AddEmpty(from, branch);
            return branch;
        }
    }
}
