using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Krewe.Models;

/// <summary>
/// JSON's own grammar, as far as a model should write it: at most one space or one line break with its indent where
/// white space may stand, numbers of at most 15 digits, values of limited depth. So whatever a model writes comes to an
/// end.
/// </summary>
internal static class JsonText
{
    private const int IndentMax = 20;
    private const int DepthMax = 8;

    /// <summary>Digits that a double keeps.</summary>
    public const int DigitsMax = 15;

    private static readonly JsonSerializerOptions Compact = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly CodePointSet Controls = CodePointSet.Range(0, 0x1F);

    private static readonly CodePointSet Hex =
        CodePointSet.Digits.Union(CodePointSet.Range('a', 'f')).Union(CodePointSet.Range('A', 'F'));

    /// <summary>Characters that a JSON string must escape.</summary>
    public static CodePointSet Escaped { get; } = Controls.Union(CodePointSet.Of('"')).Union(CodePointSet.Of('\\'));

    /// <summary>The escapes of these characters, as a rule.</summary>
    /// <param name="grammar">Gets the rule.</param>
    /// <param name="set">Part of <see cref="Escaped"/>.</param>
    /// <param name="isAny">Every character may stand there: the longer spellings too.</param>
    public static Expr Escape(Grammar grammar, CodePointSet set, bool isAny)
    {
        if (isAny) return grammar.Share("escape", AnyEscape);
        return grammar.Share($"escape {set.Key}", () => Expr.Any(Points(set).Select(point => Expr.Text(Spell(point)))));
    }

    public static Expr WhiteSpace(Grammar grammar) => grammar.Share("white space", () => Expr.Optional(Expr.Any(
        [Expr.Text(" "), Expr.Of(Expr.Text("\n"), new Expr.Repeat(Expr.Text(" "), 0, IndentMax))])));

    public static Expr Colon { get; } = Expr.Of(Expr.Text(":"), Expr.Optional(Expr.Text(" ")));

    public static Expr Comma(Grammar grammar) => Expr.Of(Expr.Text(","), WhiteSpace(grammar));

    /// <summary>Any string.</summary>
    public static Expr String(Grammar grammar) => grammar.Share("string", () => Quoted(
        new Expr.Repeat(new Expr.Chars(CodePointSet.All, InJson: true), 0, null)));

    public static Expr Quoted(Expr body) => Expr.Of(Expr.Text("\""), body, Expr.Text("\""));

    public static Expr Integer(Grammar grammar) => grammar.Share("integer", () => Expr.Of(
        Expr.Optional(Expr.Text("-")), WholeDigits));

    public static Expr Number(Grammar grammar) => grammar.Share("number", () => Expr.Of(
        Expr.Optional(Expr.Text("-")), WholeDigits,
        Expr.Optional(Expr.Of(Expr.Text("."), Digits(1, DigitsMax))),
        Expr.Optional(Expr.Of(
            new Expr.Chars(CodePointSet.Of('e').Union(CodePointSet.Of('E'))),
            Expr.Optional(new Expr.Chars(CodePointSet.Of('+').Union(CodePointSet.Of('-')))), Digits(1, 2)))));

    public static Expr Boolean { get; } = Expr.Any([Expr.Text("true"), Expr.Text("false")]);

    public static Expr Null { get; } = Expr.Text("null");

    /// <summary>Any value; arrays and objects in it are at most eight deep.</summary>
    public static Expr Value(Grammar grammar) => Value(grammar, DepthMax);

    /// <summary>Any object.</summary>
    public static Expr AnyObject(Grammar grammar) => Object(grammar, DepthMax);

    /// <summary>Any array.</summary>
    public static Expr AnyArray(Grammar grammar) => Array(grammar, DepthMax);

    /// <summary>This value, written without white space.</summary>
    public static Expr Constant(JsonElement value) => Expr.Text(JsonSerializer.Serialize(value, Compact));

    /// <summary>This text as a JSON string.</summary>
    public static Expr Constant(string text) => Expr.Text(JsonSerializer.Serialize(text, Compact));

    public static Expr Digits(int min, int? max) => new Expr.Repeat(new Expr.Chars(CodePointSet.Digits), min, max);

    private static Expr WholeDigits { get; } = Expr.Any(
        [Expr.Text("0"), Expr.Of(new Expr.Chars(CodePointSet.Range('1', '9')), Digits(0, DigitsMax - 1))]);

    /// <summary>Values in commas, or none.</summary>
    public static Expr List(Grammar grammar, string open, Expr item, string close)
    {
        var space = WhiteSpace(grammar);
        var items = Expr.Of(item, new Expr.Repeat(
            Expr.Of(grammar.Share("comma", () => Expr.Of(Expr.Text(","), space)), item), 0, null));
        return Expr.Of(Expr.Text(open), space, Expr.Optional(Expr.Of(items, space)), Expr.Text(close));
    }

    private static Expr Value(Grammar grammar, int depth) => grammar.Share(Name("value", depth), () =>
    {
        Expr[] plain = [String(grammar), Number(grammar), Boolean, Null];
        return Expr.Any(depth == 0 ? plain : [.. plain, Object(grammar, depth), Array(grammar, depth)]);
    });

    private static Expr Object(Grammar grammar, int depth) => grammar.Share(Name("object", depth), () =>
        List(grammar, "{", Expr.Of(String(grammar), Colon, Value(grammar, depth - 1)), "}"));

    private static Expr Array(Grammar grammar, int depth) => grammar.Share(Name("array", depth), () =>
        List(grammar, "[", Value(grammar, depth - 1), "]"));

    private static string Name(string what, int depth) =>
        string.Create(CultureInfo.InvariantCulture, $"{what} {depth}");

    private static Expr AnyEscape()
    {
        var hex = new Expr.Chars(Hex);
        // Half a surrogate pair is no character: both halves come together.
        var plane = Expr.Any(
        [
            Expr.Of(new Expr.Chars(Hex.Except(CodePointSet.Of('d').Union(CodePointSet.Of('D')))), hex, hex, hex),
            Expr.Of(HexDigit("dD"), new Expr.Chars(CodePointSet.Range('0', '7')), hex, hex),
            Expr.Of(
                HexDigit("dD"), HexDigit("89abAB"), hex, hex, Expr.Text("\\u"), HexDigit("dD"), HexDigit("cdefCDEF"),
                hex, hex),
        ]);
        return Expr.Of(Expr.Text("\\"), Expr.Any([HexDigit("\"\\/bfnrt"), Expr.Of(Expr.Text("u"), plane)]));
    }

    private static Expr.Chars HexDigit(string any) => new Expr.Chars(
        any.Aggregate(CodePointSet.Empty, (set, character) => set.Union(CodePointSet.Of(character))));

    private static IEnumerable<int> Points(CodePointSet set)
    {
        foreach (var (first, last) in set.Ranges.ToArray())
        {
            for (var point = first; point <= last; point++) yield return point;
        }
    }

    private static string Spell(int point) => point switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\b' => "\\b",
        '\f' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => string.Create(CultureInfo.InvariantCulture, $"\\u{point:x4}"),
    };
}
