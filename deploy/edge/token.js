// Whether a media path's token is ours and not expired. pipelines/tokens.py makes them; the VCL checks them likewise.
import crypto from 'crypto';

function granted(r) {
    const v = r.variables;
    const mac = crypto.createHmac('sha256', v.token_key).update(`${v.scope}~${v.until}`).digest('hex').slice(0, 32);
    return mac === v.mac && Date.now() < Number(v.until) * 1000 ? '1' : '0';
}

export default {granted};
