"""What Qianfa refuses: one class per fact, named as the fact.

A refusal's docstring is its message: the first line in Chinese, the second in English. Its code is
its class name and never changes. What is not a `Refusal` is a fault of ours, not an answer.
"""

from typing import ClassVar

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong at one place, with what to do about it.

    `row` is the row of the sheet as a spreadsheet shows it (1 = header), None for the whole file;
    `rows` are all rows concerned where one thing is wrong with many.
    `value` is shown safely: no control characters, at most 40 characters, ids masked.
    """

    code: str
    zh: str
    en: str
    row: int | None = None
    rows: tuple[int, ...] = ()
    column: str | None = None
    value: str | None = None


class Refusal(Exception):
    """请求被拒绝。
    The request is refused.
    """

    retry: ClassVar[bool] = False

    def __init__(self, findings: tuple[Finding, ...] = (), **facts: object) -> None:
        self.findings = findings
        self.facts = facts
        lines = [line.strip() for line in (type(self).__doc__ or "").strip().splitlines()]
        self.zh, self.en = lines[0].format(**facts), lines[1].format(**facts)
        super().__init__(f"{self.zh} {self.en}")

    @property
    def code(self) -> str:
        """The stable code: the name of the refusal."""
        return type(self).__name__


class SettingUnknown(Refusal):
    """没有名为 {name} 的设置；请看 qianfa settings。
    There is no setting {name}; see qianfa settings.
    """


class SettingRefused(Refusal):
    """设置 {name} 的值不可用：{reason}。
    The value of {name} cannot be used: {reason}.
    """


class DatabaseUnavailable(Refusal):
    """数据库无法连接（{reason}）；已完成的不会丢失，请稍后再试。
    The database cannot be reached ({reason}); nothing done is lost, try again.
    """

    retry = True


class EmbeddedServerFailed(Refusal):
    """内置数据库的 {program} 未能运行：{output}
    The embedded server's {program} failed: {output}
    """


class MigrationEdited(Refusal):
    """迁移 {name} 在应用之后被改动；请恢复原文件，改动另写新迁移。
    Migration {name} was edited after it was applied; restore it and write a new one.
    """


class DatabaseNotReady(Refusal):
    """数据库尚未建立或未更新；请先运行 qianfa init。
    The database is not made or not up to date; run qianfa init first.
    """


class DatabaseNewer(Refusal):
    """数据库已应用本程序没有的迁移 {name}；请使用更新的程序。
    The database has migration {name}, which this program lacks; use a newer program.
    """


class TryAgain(Refusal):
    """两项操作互相等待，本次未生效；请再试一次。
    Two acts waited for each other and this one was undone; try again.
    """

    retry = True


class SecondPersonNeeded(Refusal):
    """此事须由另一人办理。
    This takes a second person.
    """


class NotYourCity(Refusal):
    """此项属于其他市（州），或超出本账户权限。
    This belongs to another city, or is beyond this account.
    """


class NotAuthenticated(Refusal):
    """账户或口令不正确。
    The account or its secret is not right.
    """


class ActNotGranted(Refusal):
    """账户 {account}（{role}）无权执行 {act}。
    Account {account} ({role}) may not do {act}.
    """


class AccountExists(Refusal):
    """此账户名已被使用；账户名永不重复使用。
    The account name is taken; names are never used again.
    """


class AccountNameUnfit(Refusal):
    """账户名须为 2 至 31 个小写字母、数字、下划线或连字符，以字母开头。
    An account name is 2 to 31 lower-case letters, digits, _ or -, the first a letter.
    """


class RoleNotOfCity(Refusal):
    """省中心账户的区划代码须为 510000，经办与复核不得为 510000。
    Accounts of the province have city code 510000; operators and reviewers do not.
    """


class AccountUnknown(Refusal):
    """没有在用的账户 {account}。
    There is no live account {account}.
    """


class CityUnknown(Refusal):
    """没有这个行政区划代码。
    There is no such city code.
    """


class FoundedAlready(Refusal):
    """已有账户；请由省中心账户添加。
    There are accounts already; the province's adds further ones.
    """


class AlreadyRecorded(Refusal):
    """此项已登记，未作改动；变更请以新的生效日期另行登记。
    This is recorded already and was not changed; record a change with a later date.
    """


class DatesOutOfOrder(Refusal):
    """起止日期颠倒或截止日期晚于开始日期。
    The dates are out of order.
    """


class UsccWrong(Refusal):
    """统一社会信用代码 {uscc} 的格式或校验位不符（GB 32100，18 位大写字母与数字）。
    USCC {uscc} has a wrong form or check character (GB 32100, 18 capitals and digits).
    """


class FilingKindUnfit(Refusal):
    """备案方式只能是 unified（分级统考）或 daily（日常考核）。
    A filing is for unified or daily assessment.
    """


class SchemeRefused(Refusal):
    """编号规则不可用，会造成重号：{needed}。
    The number scheme cannot be used, numbers could be doubled: {needed}.
    """


class SchemeAbsent(Refusal):
    """{day} 没有生效的编号规则；请先登记。
    No number scheme is valid on {day}; record one first.
    """


class BodyNotOpen(Refusal):
    """该市（州）未启用此机构序号；请先启用。
    This body serial is not open for the city; open it first.
    """


class SchemeUnknown(Refusal):
    """没有这个版本的编号规则。
    There is no such version of the number scheme.
    """


class CounterUsed(Refusal):
    """此计数器已设定或已用过，不能再设起始号。
    This counter is set or used already and cannot be started elsewhere.
    """


class CentreUnknown(Refusal):
    """{day} 没有 {city_code} 的中心与发证机关信息；请先登记。
    Nothing says what centre and authority of {city_code} are on {day}; record it first.
    """


class NumbersExhausted(Refusal):
    """{city_code} {year} 年编号不足，尚缺 {missing} 个；请以文号启用下一机构序号。
    City {city_code} lacks {missing} numbers for {year}: qianfa record body opens the next.
    """


class NumberTaken(Refusal):
    """编号或标识已存在；未签发任何证书，请核对编号规则与起始号。
    A number or identifier exists already; nothing was issued, check scheme and start.
    """


class PersonCertified(Refusal):
    """有人刚取得同一项目的证书，本次未生效；请重新核对。
    Somebody has just been certified for the same project, nothing was done; look again.
    """


class InstitutionUnknown(Refusal):
    """机构 {uscc} 未登记；请先登记机构。
    Institution {uscc} is not recorded; record it first.
    """


class FileImportedAlready(Refusal):
    """同一文件已导入为批次 {batch_id}。
    The same file is batch {batch_id} already.
    """


class FileRepeated(Refusal):
    """同一文件已在导入。
    The same file is being imported already.
    """


class RowsRefused(Refusal):
    """表中有错误（上列 {count} 处），未导入任何一行；请更正后再导入。
    No row was imported for the {count} errors listed; mend the sheet and import again.
    """


class FileTooLarge(Refusal):
    """文件超过 {limit} 字节的上限。
    The file has more than the {limit} bytes allowed.
    """


class BatchUnknown(Refusal):
    """没有批次 {batch_id}，或属于其他市（州）。
    There is no batch {batch_id}, or it is another city's.
    """


class BatchNotOpen(Refusal):
    """批次不存在、已提交或已批准，不能再登记或提交。
    The batch is absent, submitted or approved and takes no more.
    """


class BatchNotSubmitted(Refusal):
    """批次 {batch_id} 不在待复核状态（{state}）。
    Batch {batch_id} does not wait for review ({state}).
    """


class EvidenceKeptTooShort(Refusal):
    """批次不在草稿状态，或保管期限不足：纸质不少于 3 年，视频不少于 5 年。
    The batch is not open, or kept too short: paper at least 3 years, video 5.
    """


class GatesClosed(Refusal):
    """批次 {batch_id} 有 {count} 处不符合签发条件，未予办理。
    Batch {batch_id} does not meet what certificates need in {count} places; nothing was done.
    """


class CertificateUnknown(Refusal):
    """没有可以作废的编号 {number}。
    There is no number {number} that could be voided.
    """


class VoidNeedsTwoPersons(Refusal):
    """作废 {number} 须由另一人确认。
    Another person must confirm that {number} is void.
    """


class NumberUnknown(Refusal):
    """没有编号为 {number} 的证书，或属于其他市（州）。
    There is no certificate {number}, or it is another city's.
    """


class ChangeImpossible(Refusal):
    """证书 {number} 现为 {standing}，不能办理 {kind}；未签发的不能变更，暂扣的须先恢复才能更正。
    Certificate {number} is {standing}: no {kind}; it must be issued, and lifted to be corrected.
    """


class ChangeOpen(Refusal):
    """此证书已有一项变更待确认；请先确认或退回。
    Another change of this certificate waits; confirm or decline it first.
    """


class ChangeUnknown(Refusal):
    """没有变更 {change_id}，或属于其他市（州）。
    There is no change {change_id}, or it is another city's.
    """


class ChangeDecided(Refusal):
    """变更 {change_id} 已办结（{state}）。
    Change {change_id} is decided already ({state}).
    """


class GroundsAbsent(Refusal):
    """须写明原因；提出变更还须有文号。
    A reason is needed, and a document number to ask for a change.
    """


class CorrectionOfAdopted(Refusal):
    """证书 {number} 不是本系统签章的，没有可以更正的版本；请由原签发渠道更正。
    Certificate {number} was not sealed here; have it corrected where it was issued.
    """


class CorrectionEmpty(Refusal):
    """没有要更正的内容：证书上已是如此。
    There is nothing to correct: the certificate says so already.
    """


class CorrectionRefused(Refusal):
    """证书 {number} 的更正有 {count} 处不符，未受理。
    The correction of {number} is wrong in {count} places and was not taken.
    """


class AdoptedAlready(Refusal):
    """同一文件已于 {at} 收录。
    The same file was taken in at {at}.
    """


class AdoptionNeedsTwoPersons(Refusal):
    """第 {adoption_id} 号收录申请须由另一人以同一文件确认。
    Another person must confirm adoption {adoption_id} with the same files.
    """


class FaceChanged(Refusal):
    """证书内容一经编号不可更改。
    What stands on a certificate does not change once it is numbered.
    """


class HistoryChanged(Refusal):
    """登记过的事实只增不改。
    What is recorded is never changed or removed.
    """


class KeysAbsent(Refusal):
    """{folder} 中没有密钥；开发环境请运行 qianfa init，生产环境请按 keys/README.md 挂载。
    There are no keys in {folder}; run qianfa init, or mount them as keys/README.md says.
    """


class SignerAbsent(Refusal):
    """没有装载 {city_code} 的签章密钥，或它与二维码密钥不都在有效期内。
    No sealing key of {city_code} is loaded, or it and the QR key are not both valid now.
    """


class KeyReplaced(Refusal):
    """{number} 已约定以另一把密钥签章，而该密钥未装载。
    {number} was to be sealed with another key, which is not loaded.
    """


class WorkersLost(Refusal):
    """每个处理 {number} 的签章进程都异常终止。
    Every worker that took {number} in hand has died.
    """


class StoreUnavailable(Refusal):
    """证书文件暂时无法存取（{reason}）；未签发的会自动重做，请检查存储。
    Sealed files cannot be stored or read ({reason}); nothing is lost, look at the store.
    """

    retry = True


class WorkerFailed(Refusal):
    """{count} 个签章进程意外结束；未签发的没有丢失，请查看上面的原因后再次运行。
    {count} worker processes ended early; nothing is lost, see the reason above and run again.
    """

    retry = True


class KeyUnpublished(Refusal):
    """公钥尚未登记，不能签发；请运行 qianfa reload。
    The public keys are not published, nothing can be issued; run qianfa reload.
    """


class KeyRenewed(Refusal):
    """公钥 {kid} 已按另一证书登记，其有效期或用途不同；换证书须同时换密钥。
    The key {kid} is published with another window or use; a new certificate needs a new key.
    """


class FileUnusable(Refusal):
    """文件或文件夹 {path} 无法使用（{reason}）。
    The file or folder {path} cannot be used ({reason}).
    """


class ValueUnstorable(Refusal):
    """有一项内容过大，或含有不能保存的字符；请更正后再试。
    Something given is too large or holds characters that cannot be kept; mend it and try again.
    """


class ConfirmationAbsent(Refusal):
    """此操作会改变正式数据；请加 --yes 确认。
    This changes official data; confirm it with --yes.
    """


class JailLimitExceeded(Refusal):
    """文件超出读取限制（{limit_zh}），未予读取。
    The file goes beyond what reading one may take ({limit}) and was not read.
    """


class JailFault(Refusal):
    """读取文件时发生意外错误（{exception}）。
    Reading the file failed unexpectedly ({exception}).
    """


class JailBusy(Refusal):
    """等待读取的文件过多，请 {seconds} 秒后再试。
    Too many files wait to be read; try again in {seconds} seconds.
    """

    retry = True


class JailUnavailable(Refusal):
    """暂时无法读取文件，请稍后再试。
    No file can be read just now; try again later.
    """

    retry = True


class ObjectMissing(Refusal):
    """存储中没有文件 {sha256}。
    The store holds no file {sha256}.
    """


class ObjectDamaged(Refusal):
    """存储中的文件 {sha256} 已损坏。
    The stored file {sha256} is damaged.
    """


class ForeignRequest(Refusal):
    """此请求来自别的网站，未予处理。
    The request came from a page of another site and was refused.
    """


class QuestionMalformed(Refusal):
    """请求的内容不符合要求（{reason}）；请按 /api/v1/openapi.json 更正。
    The request is not as it must be ({reason}); see /api/v1/openapi.json.
    """


class TooManyRequests(Refusal):
    """查询过于频繁，请 {seconds} 秒后再试。
    Too many questions; ask again in {seconds} seconds.
    """

    retry = True


class LinkForged(Refusal):
    """下载链接不完整或被改动；请回到“我的证书”重新下载。
    The download link is cut off or changed; download again from "My certificates".
    """


class LinkExpired(Refusal):
    """下载链接已过期；请回到“我的证书”重新下载。
    The download link has expired; download again from "My certificates".
    """


class ShareLinksMany(Refusal):
    """这张证书已有 5 个有效的分享链接；请先收回一个。
    There are five live share links of this certificate; take one back first.
    """


class ReportsMany(Refusal):
    """这张证书已有 3 条待受理的更正请求；请等候发证机关处理。
    Three reports of this certificate are waiting already; please wait for the authority.
    """


class ReportUnknown(Refusal):
    """没有待受理的更正请求 {report_id}，或属于其他市（州）。
    There is no open report {report_id}, or it is another city's.
    """


class IdentityUnproven(Refusal):
    """统一身份认证没有完成；请重新登录，或改用姓名和证件号码查询。
    The identity provider did not prove who you are; sign in again, or use name and document.
    """


class StatusListsBehind(Refusal):
    """状态表落后于登记，未写出任何文件；请先运行 qianfa issue（或让 serve 运行），再发布。
    A status list lacks a change and nothing was written; run qianfa issue or serve, then publish.
    """

    retry = True


class SerialsUnreadable(Refusal):
    """无法识别流水号“{typed}”；请按 {wanted} 的样子填写，多段以顿号或逗号分隔。
    The serials "{typed}" cannot be read; write them like {wanted}, ranges separated by commas.
    """


class SerialsRepeated(Refusal):
    """上列流水号重复填写。
    The serials listed are given twice.
    """


class RangesMany(Refusal):
    """一次填写了 {count} 段，最多 {limit} 段；请分次办理。
    There are {count} ranges, at most {limit} are taken at once; do it in parts.
    """


class SeriesUnknown(Refusal):
    """没有空白证书系列 {series_code}；现有：{codes}。
    There is no series {series_code}; there are: {codes}.
    """


class SerialsKnown(Refusal):
    """系列 {series_code} 的上列 {count} 张已在账上，不能再次入账。
    The {count} sheets of {series_code} listed are in the books already.
    """


class SerialsUnknown(Refusal):
    """系列 {series_code} 的上列 {count} 张从未入账。
    The {count} sheets of {series_code} listed are not in the books.
    """


class SerialsElsewhere(Refusal):
    """系列 {series_code} 的上列 {count} 张不在本单位账上。
    The {count} sheets of {series_code} listed are not in these books.
    """


class SerialsInOtherState(Refusal):
    """系列 {series_code} 的上列 {count} 张不处于“{wanted}”。
    The {count} sheets of {series_code} listed are not {wanted}.
    """


class BlanksTooFew(Refusal):
    """系列 {series_code} 需 {wanted} 张，库存仅 {free} 张；请先申领，或减少数量。
    {wanted} sheets of {series_code} are wanted and {free} are free; apply for more, or take fewer.
    """


class MovementUnknown(Refusal):
    """没有流水 {movement_id}，或属于其他市（州）。
    There is no movement {movement_id}, or it is another city's.
    """


class MovementImpossible(Refusal):
    """空白证书不能这样流转，或经办人数不足；未作改动。
    Blanks do not move like this, or more persons are needed; nothing was done.
    """


class MovedSince(Refusal):
    """该流水之后这些证书又有变动，不能冲正；请从最近一笔开始。
    These sheets have moved since and it cannot be countered; begin with the newest movement.
    """


class LedgerTooLong(Refusal):
    """台账超过 {limit} 笔流水，不能出 PDF；请改用 xlsx，或缩短期间。
    The ledger has over {limit} movements, too many for a PDF; take the xlsx, or a shorter period.
    """


class BlankEditionUnknown(Refusal):
    """没有空白证书版式 {edition}；现有：{editions}。
    There is no blank edition {edition}; there are: {editions}.
    """


class PrinterNameUnfit(Refusal):
    """打印机名称须为 1 至 40 个字符，首尾不得为空格。
    A printer's name has 1 to 40 characters and no space at either end.
    """


class PrinterUnknown(Refusal):
    """打印机 {printer_name} 没有版式 {edition} 的参数；请先打印校准页并录入。
    Printer {printer_name} has no profile for edition {edition}; print a calibration sheet first.
    """


class ProfileUnknown(Refusal):
    """打印机 {printer_name} 没有版式 {edition} 的第 {profile_id} 号参数；请照校准页所印的号填写。
    Printer {printer_name} has no profile {profile_id} for edition {edition}; see the sheet measured.
    """


class MarksFew(Refusal):
    """须量取编号 1 至 8 中至少 {wanted} 个不同的标记，现有 {count} 个。
    Measure at least {wanted} different marks of those numbered 1 to 8; there are {count}.
    """


class MarkMisfit(Refusal):
    """标记 {mark} 与其余标记相差 {distance} mm；请重新量取或核对录入。
    Mark {mark} differs from the others by {distance} mm; measure it again or see how it was typed.
    """


class ProfileImplausible(Refusal):
    """所需校正过大（{correction}）；请以实际大小（100%）打印校准页，并核对送纸和所用参数的号。
    The correction is too large ({correction}); print at 100 %, see how it is fed and which profile.
    """


class FieldOffSheet(Refusal):
    """按此校正，{fields} 会印到纸外；请调整送纸后重新打印校准页。
    With this correction {fields} would leave the sheet; adjust the feed and print the page again.
    """
